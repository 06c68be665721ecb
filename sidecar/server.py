"""The sidecar's server: one per worker, in a thread, for as long as the worker lives."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from ..errors import LaunchError
from .app import build_app
from .messages import TaskMessage
from .session import Session
from .sessions import Sessions

_START_S = 10.0
_STOP_S = 5.0
_KEEP_ALIVE_S = 120  # a training may be silent between two reports; a connection that is gone costs a retry

_log = logging.getLogger(__name__)


class Sidecar:
    """Serve the sessions of one worker over HTTP.

    Args:
        host: Where to listen. Anything but loopback lets other machines reach it, with a token and without encryption.
        port: The port; 0 takes a free one.
        max_message_bytes: The largest JSON body.
        max_model_bytes: The largest model.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        max_message_bytes: int = 2**20,
        max_model_bytes: int = 2**32,
    ) -> None:
        self._host = host
        self._port = port
        self._sessions = Sessions()
        self._app = build_app(self._sessions, max_message_bytes=max_message_bytes, max_model_bytes=max_model_bytes)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            LaunchError: It is not started.
        """
        if self._server is None:
            raise LaunchError("The sidecar is not started.", hint="Call start(), or use it in a with statement.")
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else self._host  # noqa: S104  # it is compared, not bound
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def start(self) -> Self:
        """Listen; returns when requests are answered.

        Raises:
            LaunchError: The address cannot be listened on, or the server did not come up.
        """
        if self._server is not None:
            return self
        listener = self._bind()
        if not _is_loopback(listener):
            _log.warning("The sidecar listens on %s: other machines can reach it, without encryption.", self._host)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
            server_header=False,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="omniforge-sidecar", daemon=True
        )
        self._thread.start()
        if not self._server.is_up.wait(_START_S):
            self.stop()
            raise LaunchError(f"The sidecar did not come up within {_START_S:g} s.")
        return self

    def open(
        self, task: TaskMessage, *, on_progress: Callable[[int, dict[str, float]], bool], spool_dir: Path | None = None
    ) -> Session:
        """Offer a task.

        Args:
            task: What is to be done.
            on_progress: Called with every step and its metrics, in a thread of the server; returns whether to stop.
            spool_dir: Where the model is kept; a temporary folder that closing the session removes when ``None``.

        Raises:
            LaunchError: The sidecar is not started.
        """
        session = Session(
            task, url=self.url, on_progress=on_progress, spool_dir=spool_dir, on_close=self._sessions.remove
        )
        self._sessions.add(session)
        return session

    def openapi(self) -> dict[str, Any]:
        """Return the description of the interface as an OpenAPI document; the server need not run."""
        return self._app.openapi()

    def stop(self) -> None:
        """Close all sessions and stop listening; requests in progress are finished. Stopping twice is fine."""
        self._sessions.close_all()
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.should_exit = True
        thread.join(_STOP_S)
        if thread.is_alive():
            server.force_exit = True
            thread.join(_STOP_S)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=128)
        except (OSError, OverflowError) as e:
            raise LaunchError(
                f"The sidecar cannot listen on {self._host!r}, port {self._port}: {e}.",
                hint="Port 0 takes a free one.",
            ) from e
        # Its connections inherit this. Headers and body are written one after the other, and the second would otherwise
        # wait for the first to be acknowledged: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        return listener

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
