"""Launching on this machine through a server of one's own: what a fork and a fresh interpreter have in common."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Self

from ..errors import LaunchError, SpecError
from .handle import ServedHandle, refusal
from .owner import SERVER_VARIABLE, OwnedServer, ServerOptions
from .wire import encode
from .workload import Launcher, Workload

_DYING_S = 1.0  # the connections of a process that is killed break one after the other

_log = logging.getLogger(__name__)


class LocalLauncher(Launcher):
    """Launch through one server, which is started again if it dies. Its methods may be called from any thread."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._handles: list[ServedHandle] = []
        self._closed = False
        self._server: OwnedServer | None = OwnedServer(options)

    @property
    def server_pid(self) -> int | None:
        """The server's process, once it is ready."""
        return self._server.pid if self._server is not None else None

    @property
    def socket_path(self) -> str | None:
        """Where the server listens, from its start on; requests wait until its modules are loaded."""
        return self._server.socket_path if self._server is not None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What loading the modules brought up, once the server is ready: failed imports, threads that a fork loses."""
        return self._server.warnings if self._server is not None else ()

    def ready(self) -> Self:
        """Wait until the server is ready; ``launch`` does so by itself.

        Raises:
            LaunchError: The server died or took too long.
        """
        self._ready_server()
        return self

    def launch(self, workload: Workload) -> ServedHandle:
        """Start a workload; returns when its process exists."""
        log_path = _prepare_log(workload)
        for attempt in (1, 2):
            server = self._ready_server()
            line = self._line(workload, log_path, server)
            offset = log_path.stat().st_size if log_path.exists() else 0
            try:
                connection, inbox, answer = server.request(line)
            except OSError as e:
                if attempt == 1 and server.is_dead(within_s=_DYING_S):
                    continue  # once more, with a new one; what the old one may have forked dies with it
                raise LaunchError(f"Workload {workload.name!r}: the launch server is not reached: {e}.") from e
            if answer is None or "pid" not in answer:
                connection.close()
                raise LaunchError(f"Workload {workload.name!r} could not be started: {refusal(answer)}.")
            handle = ServedHandle(connection, inbox, pid=int(answer["pid"]), log_path=log_path, log_offset_bytes=offset)
            with self._lock:
                self._handles = [*(one for one in self._handles if one.poll() is None), handle]
            return handle
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End what still runs, then the server; closing twice is fine."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _ready_server(self) -> OwnedServer:
        with self._lock:
            if self._closed:
                raise LaunchError("The launcher is closed.")
            if self._server is not None and self._server.is_dead():
                _log.warning("The launch server (process %s) died and is started again.", self._server.pid)
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = OwnedServer(self._options)
            server = self._server
        known = server.pid
        server.wait_ready()
        if known is None:
            for warning in server.warnings:
                _log.warning("%s", warning)
        return server

    def _line(self, workload: Workload, log_path: Path, server: OwnedServer) -> bytes:
        """Return the request for a workload as it goes to the server."""
        env = {**os.environ, **workload.env}
        env.pop(SERVER_VARIABLE, None)
        if not self._options.fresh:
            env[SERVER_VARIABLE] = workload.env.get(SERVER_VARIABLE, server.socket_path)
        first = [entry for entry in workload.env.get("PYTHONPATH", "").split(os.pathsep) if entry]
        try:
            return encode(
                {
                    "kind": "workload",
                    "name": workload.name,
                    "entry": workload.entry,
                    "payload": dict(workload.payload),
                    "env": {str(name): str(value) for name, value in env.items()},
                    "sys_path": [*first, *sys.path],
                    "cwd": str(_folder(workload)),
                    "log_path": str(log_path),
                    "memory_bytes": workload.limits.memory_bytes,
                    "time_s": workload.limits.time_s,
                }
            )
        except (TypeError, ValueError) as e:
            raise SpecError(f"The payload of workload {workload.name!r} is not JSON: {e}.") from e


def _folder(workload: Workload) -> Path:
    if workload.cwd is None:
        return Path.cwd()
    if not workload.cwd.is_dir():
        raise SpecError(f"The cwd {str(workload.cwd)!r} of workload {workload.name!r} is no folder.")
    return workload.cwd.absolute()


def _prepare_log(workload: Workload) -> Path:
    log_path = workload.log_path.absolute()
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise LaunchError(
            f"Workload {workload.name!r}: the folder of log {str(log_path)!r} cannot be made: {e}."
        ) from e
    return log_path
