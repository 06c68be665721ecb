r"""The messages between a launcher and its server: JSON objects, one per line, over a Unix stream socket.

A connection carries one request. ``{"kind": "workload", ...}`` is answered by ``{"pid"}`` and later ``{"exit"}``;
``{"kind": "server", ...}`` by ``{"pid"}`` and, when the modules are loaded, ``{"ready"}``; a refusal by
``{"error"}``. The end of the stream from the client means "no longer wanted": what it asked for is ended.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Mapping
from typing import Any

MAX_MESSAGE_BYTES = 256 * 2**20
_CHUNK_BYTES = 2**18


class WireError(ConnectionError):
    """The other side broke the protocol or left in the middle of a message."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as one line.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: The message refers to itself.
    """
    return json.dumps(message, ensure_ascii=True).encode("ascii") + b"\n"


class Inbox:
    """Put a stream of bytes together to messages."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._messages: list[dict[str, Any]] = []

    def feed(self, chunk: bytes) -> None:
        """Take bytes as they arrive.

        Raises:
            WireError: A line is not a JSON object or is longer than ``MAX_MESSAGE_BYTES``.
        """
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._messages.append(_decode(b"".join([*self._parts, line])))
            self._parts, self._size_bytes = [], 0
        if rest:
            self._parts.append(rest)
            self._size_bytes += len(rest)
        if self._size_bytes > MAX_MESSAGE_BYTES:
            raise WireError(f"A message is longer than {MAX_MESSAGE_BYTES} bytes.")

    def take(self) -> dict[str, Any] | None:
        """Return the next whole message, or None."""
        return self._messages.pop(0) if self._messages else None


def receive(connection: socket.socket, inbox: Inbox, timeout_s: float) -> dict[str, Any] | None:
    """Return the next message; None when ``timeout_s`` passed first.

    Raises:
        WireError: The other side closed the connection or sent something else.
        OSError: The connection broke.
    """
    deadline_s = time.monotonic() + timeout_s
    while (message := inbox.take()) is None:
        left_s = deadline_s - time.monotonic()
        if not readable(connection, max(0.0, left_s)):
            return None
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            raise WireError("The other side closed the connection.")
        inbox.feed(chunk)
    return message


def readable(connection: socket.socket, timeout_s: float) -> bool:
    """Whether there is something to read, or the end of the stream, within ``timeout_s`` seconds.

    Raises:
        WireError: The connection is closed on this side.
    """
    poll = select.poll()  # unlike select, it takes file descriptors above 1023
    try:
        poll.register(connection, select.POLLIN)
    except ValueError as e:
        raise WireError("The connection is closed.") from e
    return bool(poll.poll(timeout_s * 1000))


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as e:
        raise WireError(f"A message is not JSON: {e}.") from e
    if not isinstance(message, dict):
        raise WireError(f"A message is not an object: {line[:80]!r}.")
    return message
