"""The server that forks: it loads modules once, then starts every workload as a fork of itself (or afresh).

``python -m omniforge.launch.server`` reads its first request from the socket on stdin. It is a process of one thread
that was executed, not forked, by the launching process: nothing of that one's threads and locks is in it. It ends,
with everything that it started, when that socket reaches its end or its owner has died.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import math
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import child
from .family import BLOCKED, Family
from .preload import preload
from .processes import adopt_orphans, flush_c_streams, start_ticks
from .supervision import Bounds
from .wire import Inbox, encode, receive

_OWNER_CHECK_S = 1.0
_FIRST_REQUEST_S = 60.0
_CHUNK_BYTES = 2**18

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fork:
    """What a forked process is to do.

    Args:
        request: What was asked for: a workload or a server.
        status_fd: The pipe that takes the cause of a failure.
        connection: The owner of a server.
    """

    request: Mapping[str, Any]
    status_fd: int
    connection: socket.socket


class Server:
    """Takes requests, in one loop and one thread.

    Args:
        owner: The connection of the owner; its end is the server's.
        request: What the owner asked for: ``folder``, ``socket_path``, ``preload``, ``sys_path``, ``env``, ``owner_pid``,
            ``grace_s``.
    """

    def __init__(self, owner: socket.socket, request: Mapping[str, Any]) -> None:
        self._owner = owner
        self._request = request
        self._owner_ticks = start_ticks(request["owner_pid"])
        self._family = Family()
        self._asking: dict[int, tuple[socket.socket, Inbox]] = {}  # by file descriptor: the request is still coming
        self._launched: dict[int, socket.socket] = {}  # by pid: who wants to hear of the exit
        self._closing = False
        self._poll = select.poll()  # not epoll, which a fork would share
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._alarm, self._bell = socket.socketpair()

    def serve(self) -> Fork | None:
        """Serve until the owner is gone and all has ended; return None then, and in a forked child what it is to do."""
        self._bind()  # who asks while modules are being loaded is answered when they are
        warnings = self._load()
        self._listen()
        _answer(self._owner, {"ready": {"pid": os.getpid(), "warnings": warnings}})
        while not self._closing or self._family:
            for fd, _ in self._poll.poll(self._timeout_ms()):
                fork = self._read(fd)
                if fork is not None:
                    return fork
            self._family.check()
            for pid, ending in self._family.reap():
                connection = self._launched.pop(pid, None)
                if connection is not None:
                    _answer(connection, {"exit": ending})
                    self._drop(connection)
            if not self._closing and start_ticks(self._request["owner_pid"]) != self._owner_ticks:
                self._close()  # a copy of the socket in another process can outlive the owner
        self._listener.close()
        shutil.rmtree(self._request["folder"], ignore_errors=True)  # an owner that was killed cannot
        return None

    def _load(self) -> list[str]:
        """Load the modules and freeze them; return what a person should know about them."""
        adopt_orphans()
        sys.path[:] = self._request["sys_path"]
        child.apply_environment(self._request["env"])
        gc.disable()
        loaded = preload(self._request["preload"])
        child.forget_exit_callbacks()
        gc.collect()
        gc.freeze()  # a collection in a child must not touch, and so copy, the pages that it shares
        gc.enable()
        flush_c_streams()
        warnings = [result.warning for result in loaded if result.warning is not None]
        for warning in warnings:
            _log.warning("%s", warning)
        _log.info("Ready: %d modules in %.2f s.", len(loaded), sum(result.duration_s for result in loaded))
        return warnings

    def _bind(self) -> None:
        path = Path(self._request["socket_path"])
        new = path.with_name(f"{path.name}~")  # under its own name, it can be connected to
        self._listener.bind(str(new))
        self._listener.listen(128)
        new.rename(path)

    def _listen(self) -> None:
        signal.set_wakeup_fd(_unblocked(self._bell).fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _rung)
        signal.signal(signal.SIGTERM, _rung)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to act on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
        for end in (self._owner, self._listener, self._alarm):
            self._poll.register(_unblocked(end), select.POLLIN)

    def _timeout_ms(self) -> int:
        left_s = self._family.next_check_s - time.monotonic()
        return math.ceil(1000 * min(max(left_s, 0.0), _OWNER_CHECK_S))

    def _read(self, fd: int) -> Fork | None:
        """Act on what has happened to a file descriptor."""
        if fd in self._asking:
            return self._read_request(fd)
        if fd == self._alarm.fileno():
            if signal.SIGTERM in self._alarm.recv(4096):
                self._close()
        elif fd == self._listener.fileno():
            self._accept()
        elif fd == self._owner.fileno():
            if _at_end(self._owner):
                self._close()
        else:
            self._read_cancellation(fd)
        return None

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the client has left again, or there are too many open files: then it sees no answer
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if uid not in (os.geteuid(), 0) or self._closing:
            connection.close()
            return
        self._asking[connection.fileno()] = (connection, Inbox())
        self._poll.register(_unblocked(connection), select.POLLIN)

    def _read_request(self, fd: int) -> Fork | None:
        connection, inbox = self._asking[fd]
        try:
            chunk = connection.recv(_CHUNK_BYTES)
            inbox.feed(chunk)
            request = inbox.take()
            if request is None and chunk:
                return None
            del self._asking[fd]
            if request is not None:
                return self._fork(request, connection)
        except BlockingIOError:
            return None
        except (OSError, KeyError, TypeError) as e:
            self._asking.pop(fd, None)
            _log.warning("Refused a request: %s: %s", type(e).__name__, e)
            _answer(connection, {"error": f"{type(e).__name__}: {e}"})
        self._drop(connection)
        return None

    def _fork(self, request: Mapping[str, Any], connection: socket.socket) -> Fork | None:
        is_server = request["kind"] == "server"
        if is_server:  # it has its own grace for what it started, and then needs a moment for itself
            bounds = Bounds(grace_s=request["grace_s"] + 1.0)
        else:
            bounds = Bounds(request["memory_bytes"], request["time_s"], self._request["grace_s"])
            importlib.invalidate_caches()  # modules may have been written since; here it copies no shared pages
        pid, status_fd = self._family.fork(
            request["log_path"],
            bounds,
            leave=lambda: self._leave(None if is_server else connection),
            reports=not is_server,
        )
        if pid == 0:
            return Fork(request, status_fd, connection)
        if is_server:
            self._drop(connection)  # the child has a copy: the client is its owner, and hears everything from it
        else:
            _answer(connection, {"pid": pid})
            self._launched[pid] = connection
        return None

    def _read_cancellation(self, fd: int) -> None:
        """End the workload whose client closed its side; a client that has died has done so too."""
        for pid, connection in self._launched.items():
            if connection.fileno() == fd and _at_end(connection):
                self._poll.unregister(fd)
                self._family.terminate("cancelled", "Its owner ended it.", pid=pid)

    def _close(self) -> None:
        """Begin to end: no more requests, and everyone is asked to leave."""
        if self._closing:
            return
        self._closing = True
        for end in (self._owner, self._listener):
            self._poll.unregister(end)
        for connection, _ in list(self._asking.values()):
            self._drop(connection)
        self._asking.clear()
        self._family.terminate("cancelled", "Its launcher was closed.")

    def _drop(self, connection: socket.socket) -> None:
        with suppress(KeyError):  # it is not registered any more once the client has cancelled
            self._poll.unregister(connection)
        connection.close()

    def _leave(self, asker: socket.socket | None) -> None:
        """Close, in a forked child, all that is the server's: an open copy would hide the end of a stream."""
        asking = [connection for connection, _ in self._asking.values()]
        for end in (self._owner, self._listener, self._alarm, self._bell, *asking, *self._launched.values(), asker):
            if end is not None:
                end.close()
        self._family.abandon()


def _rung(number: int, frame: object) -> None:
    """Do nothing: that the signal came is written to the wake-up socket, which the loop reads."""


def _unblocked(end: socket.socket) -> socket.socket:
    end.setblocking(False)
    return end


def _at_end(connection: socket.socket) -> bool:
    try:
        return not connection.recv(_CHUNK_BYTES)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _answer(connection: socket.socket, message: Mapping[str, Any]) -> None:
    with suppress(OSError):  # the client has left; what it asked for is ended when its connection is read
        connection.sendall(encode(message))


def main() -> NoReturn:
    """Serve the owner on stdin; a fork of the server comes back here and becomes what it was forked for."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s fork server %(process)d: %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False  # the root logger belongs to the workloads
    owner = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    request = receive(owner, Inbox(), _FIRST_REQUEST_S)
    while request is not None:
        fork = Server(owner, request).serve()
        if fork is None:
            break
        if fork.request["kind"] == "workload":
            _run(fork, request)
        os.close(fork.status_fd)
        _answer(fork.connection, {"pid": os.getpid()})
        owner, request = fork.connection, dict(fork.request)
    os._exit(0)  # nothing to take apart: what was loaded was loaded for others


def _run(fork: Fork, server: Mapping[str, Any]) -> NoReturn:
    if not server["fresh"]:
        child.run_forked(fork.request, fork.status_fd, server_env=server["env"])
    request_fd = os.memfd_create("request", 0)
    with os.fdopen(request_fd, "w", closefd=False) as file:
        json.dump(fork.request, file)
    os.set_inheritable(fork.status_fd, True)
    child.execute(fork.request, request_fd, fork.status_fd)


if __name__ == "__main__":
    main()
