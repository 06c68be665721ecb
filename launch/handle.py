"""A workload that a server has launched, as its owner sees it: one connection, read on demand, no thread."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .wire import Inbox, WireError, readable, receive
from .workload import Exit

_SLICE_S = 0.5


class ServedHandle:
    """Follow a workload over the connection that asked for it.

    Args:
        connection: The connection; closing it ends the workload.
        inbox: What has been read from it.
        pid: The workload's process.
        log_path: Its log.
        log_offset_bytes: Where in the log this launch begins.
    """

    def __init__(
        self, connection: socket.socket, inbox: Inbox, *, pid: int, log_path: Path, log_offset_bytes: int
    ) -> None:
        self._connection = connection
        self._inbox = inbox
        self._pid = pid
        self._log_path = log_path
        self._log_offset_bytes = log_offset_bytes
        self._launched_s = time.monotonic()
        self._lock = threading.Lock()
        self._exit: Exit | None = None

    @property
    def pid(self) -> int:
        """The process, which leads a process group and session of its own."""
        return self._pid

    def poll(self) -> Exit | None:
        """Return how it ended, or None while it runs."""
        with self._lock:
            if self._exit is None:
                self._read()
            return self._exit

    def wait(self, timeout_s: float | None = None) -> Exit | None:
        """Wait until it has ended and return how; None when ``timeout_s`` passed first."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while (ending := self.poll()) is None:
            left_s = _SLICE_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            # In slices, because another thread may read the exit and close the connection meanwhile.
            with suppress(WireError):
                readable(self._connection, min(left_s, _SLICE_S))
        return ending

    def cancel(self) -> None:
        """End it and all that it started: SIGTERM, then SIGKILL. Returns at once."""
        with self._lock:
            if self._exit is None:
                with suppress(OSError):  # the server has gone; the next poll says so
                    self._connection.shutdown(socket.SHUT_WR)

    def logs(self) -> str:
        """Return what this launch has written to its log so far."""
        try:
            with self._log_path.open("rb") as file:
                file.seek(self._log_offset_bytes)
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _read(self) -> None:
        try:
            message = receive(self._connection, self._inbox, 0.0)
        except OSError:
            self._exit = self._orphaned()
        else:
            if message is None:
                return
            self._exit = Exit(**message["exit"])
        self._connection.close()

    def _orphaned(self) -> Exit:
        """End what a dead server has left; the kernel has killed the workload itself, not what that had started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        duration_s = time.monotonic() - self._launched_s
        return Exit(None, int(signal.SIGKILL), "killed", duration_s, message="The server that had started it died.")


def refusal(message: dict[str, Any] | None) -> str:
    """Say why a request was not granted, from the answer that came."""
    if message is None:
        return "it did not answer in time"
    return str(message.get("error", f"it answered {message!r}"))
