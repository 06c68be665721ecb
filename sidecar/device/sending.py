"""The sending of a content to a device: what the device does not have of it yet, again from where a line broke.

What the content is for, and what becomes of it there, is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import httpx

from .connection import (
    ANSWER_S,
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    TRY_AGAIN,
    Connection,
    Stopped,
    never,
    refusal,
)
from .messages import LENGTH_HEADER, OFFSET_HEADER, UploadMessage

_BLOCK_BYTES = 2**18
_BEHIND_S = 0.5
_CHECK_S = 120.0  # a slow device needs its time to check the digest of what has arrived
_LOOK_S = 0.25
_TRIES = 2  # at least, however short patience is

Open = Callable[[], BinaryIO]
"""Opens a content to be read from its beginning."""


class _Progress:
    """How far a content is on the device, and since when."""

    def __init__(self) -> None:
        self.received_bytes = -1
        self.moved_s = time.monotonic()
        self.tries = 0

    def grew(self, received_bytes: int) -> bool:
        more = received_bytes > self.received_bytes
        self.received_bytes = received_bytes
        if more:
            self.moved_s, self.tries = time.monotonic(), 0
        return more


class Sender:
    """Send contents over a connection.

    Args:
        connection: The line to the device. A content that does not move on for as long as its patience lasts is given up.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, digest: str, opened: Open, size_bytes: int, *, stopped: Stopped = never) -> None:
        """Send what the device does not have of a content; returns when it has all and has checked it.

        Args:
            digest: Its SHA-256.
            opened: Opens it.
            size_bytes: How large it is.
            stopped: Whether it is not wanted any more.

        Raises:
            DeviceLostError: The device does not answer, or the line breaks again and again and nothing arrives.
            DeviceError: The device refuses, or the content arrives damaged every time.
            MeasurementError: It is larger than the device takes, or not wanted any more.
        """
        progress, damaged, delay_s = _Progress(), 0, FIRST_DELAY_S
        refused: tuple[str, int | None] | None = None
        while True:
            state = self._state(digest, size_bytes, stopped)
            if state.complete:
                return
            grew = progress.grew(state.received_bytes)
            delay_s = FIRST_DELAY_S if grew else min(2 * delay_s, LONGEST_DELAY_S)
            if refused is not None:
                self._check_patience(progress, refused)
                if grew and refused[1] == httpx.codes.CONFLICT:  # another client sends the same: let it
                    self._connection.pause(_BEHIND_S, stopped=stopped)
                    continue
            progress.tries += 1
            response, broke = self._send_rest(state, opened, size_bytes, stopped)
            if response is None:
                refused = broke, None
            elif response.status_code == httpx.codes.UNPROCESSABLE_ENTITY and damaged < 1:
                damaged += 1  # what an earlier, interrupted upload left may be what was wrong
                progress, refused = _Progress(), None
            elif response.status_code in {*TRY_AGAIN, httpx.codes.CONFLICT}:
                refused = refusal(response), response.status_code
            else:
                content = self._connection.json(self._connection.accepted(response))
                if UploadMessage.model_validate(content).complete:
                    return
                refused = "it has not all that was sent", None
            behind = response is not None and response.status_code == httpx.codes.CONFLICT
            self._connection.pause(_BEHIND_S if behind else delay_s, stopped=stopped)

    def _check_patience(self, progress: _Progress, refused: tuple[str, int | None]) -> None:
        """Give a content up that has not moved on for long.

        Raises:
            DeviceError: It has not.
        """
        busy = refused[1] == httpx.codes.TOO_MANY_REQUESTS
        limit_s = self._connection.queue_s if busy else self._connection.patience_s
        if progress.tries >= _TRIES and time.monotonic() - progress.moved_s > limit_s:
            raise self._connection.lost(*refused)

    def _state(self, digest: str, size_bytes: int, stopped: Stopped) -> UploadMessage:
        """Ask how much has arrived."""
        asked = self._connection.ask("GET", f"uploads/{digest}", params={"size_bytes": size_bytes}, stopped=stopped)
        return UploadMessage.model_validate(self._connection.json(asked))

    def _send_rest(
        self, state: UploadMessage, opened: Open, size_bytes: int, stopped: Stopped
    ) -> tuple[httpx.Response | None, str]:
        """Send the rest once; return the answer, or what broke.

        Raises:
            DeviceError: The token is wrong, or the line is one that no repetition can mend.
            MeasurementError: It is not wanted any more.
        """
        connection = self._connection
        try:
            send = partial(self._patch, state, opened, size_bytes, stopped)
            return connection.of_friend(connection.attempt(send, stopped=stopped)), ""
        except httpx.TransportError as e:
            if isinstance(e, httpx.ReadTimeout):
                self._while_checked(state.sha256, size_bytes, stopped)
            return None, connection.what_broke(e)

    def _patch(self, state: UploadMessage, opened: Open, size_bytes: int, stopped: Stopped) -> httpx.Response:
        headers = {
            OFFSET_HEADER: str(state.received_bytes),
            LENGTH_HEADER: str(size_bytes),
            "Content-Length": str(size_bytes - state.received_bytes),
            "Content-Type": "application/offset+octet-stream",
        }
        with opened() as file:
            file.seek(state.received_bytes)
            return self._connection.http.patch(
                f"v1/uploads/{state.sha256}",
                content=_blocks(file, stopped),
                headers=headers,
                timeout=min(ANSWER_S, max(self._connection.patience_s, _LOOK_S)),
            )

    def _while_checked(self, digest: str, size_bytes: int, stopped: Stopped) -> None:
        """Wait while the device has all bytes and checks them; one that hangs does not answer here either."""
        end_s = time.monotonic() + _CHECK_S
        while time.monotonic() < end_s:
            state = self._state(digest, size_bytes, stopped)
            if state.complete or state.received_bytes < size_bytes:
                return
            self._connection.pause(_LOOK_S, stopped=stopped)


def _blocks(file: BinaryIO, stopped: Stopped) -> Iterator[bytes]:
    while not stopped() and (block := file.read(_BLOCK_BYTES)):
        yield block
