"""The owner's end of a server: starting it, waiting until it is ready, talking to it, ending it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import LaunchError
from .wire import Inbox, encode, receive

SERVER_VARIABLE = "OMNIFORGE_FORKSERVER"
"""The environment variable with the socket of the fork server that a process was forked from."""

ANSWER_S = 30.0
_END_S = 3.0
_APPEAR_S = 10.0  # an interpreter has started by then, even on a machine that is busy
_LOOK_S = 0.005
_MAX_SOCKET_PATH = 100  # the kernel allows 107 bytes


@dataclass(frozen=True)
class ServerOptions:
    """What a server is to be.

    Args:
        preload: Modules that it loads before it forks.
        env: Environment variables on top of the owner's own, set before anything is loaded.
        fresh: Whether each workload gets a fresh interpreter instead of a fork.
        log_path: The server's own log; in its private folder when ``None``.
        grace_s: Seconds between SIGTERM and SIGKILL.
        start_timeout_s: How long loading the modules may take.
    """

    preload: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    log_path: Path | None = None
    grace_s: float = 2.0
    start_timeout_s: float = 120.0


class OwnedServer:
    """One server, from start to end. It is started at once and loads its modules while the owner goes on.

    A process that was itself forked from a server asks that one for a fork to be its server: what both need is loaded
    already. Elsewhere, and when that server does not answer, a new interpreter is executed.

    Raises:
        LaunchError: It could not be started.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._folder = _private_folder()
        self.socket_path = str(self._folder / "s")
        self.log_path = options.log_path.absolute() if options.log_path is not None else self._folder / "server.log"
        self.pid: int | None = None
        self.warnings: tuple[str, ...] = ()
        self._ready = False
        self._inbox = Inbox()
        self._started_pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = (None if options.fresh else self._ask_own_server()) or self._execute()
        except OSError as e:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise LaunchError(f"No launch server could be started: {e}.") from e

    def is_dead(self, within_s: float = 0.0) -> bool:
        """Whether its connection has broken, or breaks within so many seconds. What it has said is not lost by that."""
        if self._connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._connection, select.POLLHUP)
        return bool(poll.poll(within_s * 1000))

    def wait_ready(self) -> None:
        """Wait until the modules are loaded.

        Raises:
            LaunchError: It died or took too long; carries the end of its log.
        """
        with self._lock:
            if self._ready:
                return
            try:
                message = receive(self._connection, self._inbox, self._options.start_timeout_s)
            except OSError as e:
                raise self._failure(str(e)) from e
            if message is None or "ready" not in message:
                raise self._failure(f"it was not ready within {self._options.start_timeout_s:g} s")
            self.pid = int(message["ready"]["pid"])
            self.warnings = tuple(message["ready"]["warnings"])
            self._ready = True

    def request(self, line: bytes) -> tuple[socket.socket, Inbox, dict[str, Any] | None]:
        """Send a request on a connection of its own; return the connection and the first answer.

        Raises:
            OSError: The server cannot be reached.
        """
        return _ask(self.socket_path, line)

    def close(self) -> None:
        """End the server and everything that it started, and wait until it has; closing twice is fine."""
        if self._connection.fileno() < 0:
            return
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        if (
            not self._ready and self._started_pid is not None
        ):  # while it loads it does not listen, and has nothing to end
            with suppress(ProcessLookupError):
                os.kill(self._started_pid, signal.SIGTERM)
        with suppress(OSError):
            while receive(self._connection, self._inbox, self._options.grace_s + _END_S) is not None:
                pass  # the end of the stream is the last thing that it says
        self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _request(self) -> dict[str, Any]:
        return {
            "kind": "server",
            "folder": str(self._folder),
            "socket_path": self.socket_path,
            "log_path": str(self.log_path),
            "preload": list(self._options.preload),
            "sys_path": sys.path,
            "env": {**os.environ, **self._options.env},
            "owner_pid": os.getpid(),
            "fresh": self._options.fresh,
            "grace_s": self._options.grace_s,
        }

    def _ask_own_server(self) -> socket.socket | None:
        """Ask the server that this process came from for a fork; None when there is none or it does not answer."""
        path = os.environ.get(SERVER_VARIABLE)
        if not path:
            return None
        if not _appears(Path(path)):
            return None
        try:
            connection, inbox, answer = _ask(path, encode(self._request()))
        except OSError:
            return None
        if answer is not None and "pid" in answer:
            self._started_pid, self._inbox = int(answer["pid"]), inbox
            return connection
        connection.close()
        return None

    def _execute(self) -> socket.socket:
        connection, inherited = socket.socketpair()
        with inherited, self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.server"],
                stdin=inherited.fileno(),
                stdout=log,
                stderr=log,
                env={**os.environ, **self._options.env},
                start_new_session=True,
            )
        self._started_pid = self._process.pid
        with suppress(OSError):  # it is gone already: waiting for it to be ready says why
            connection.sendall(encode(self._request()))
        return connection

    def _failure(self, reason: str) -> LaunchError:
        try:
            tail = self.log_path.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        except OSError:
            tail = ""
        return LaunchError(f"The launch server did not start: {reason}", hint=tail or None)


def _appears(path: Path) -> bool:
    """Wait until a server that has only been started listens; False when its folder is gone or it takes too long."""
    deadline_s = time.monotonic() + _APPEAR_S
    while not path.exists():
        if not path.parent.exists() or time.monotonic() > deadline_s:
            return False
        time.sleep(_LOOK_S)
    return True


def _ask(path: str, line: bytes) -> tuple[socket.socket, Inbox, dict[str, Any] | None]:
    connection, inbox = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), Inbox()
    try:
        connection.settimeout(ANSWER_S)
        connection.connect(path)
        connection.sendall(line)
        return connection, inbox, receive(connection, inbox, ANSWER_S)
    except BaseException:
        connection.close()
        raise


def _private_folder() -> Path:
    """Return a new folder that only this user can enter, with a path short enough for a socket."""
    short = len(tempfile.gettempdir()) + len("/omniforge-xxxxxxxx/s") <= _MAX_SOCKET_PATH
    return Path(tempfile.mkdtemp(prefix="omniforge-", dir=None if short else "/tmp"))  # noqa: S108  # mkdtemp makes it 0700
