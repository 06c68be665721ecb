"""An application that answers on a socket, in a thread, until it is stopped. What it answers is the application's affair."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from ..errors import LaunchError, SpecError

_START_S = 10.0
_STOP_S = 5.0
_KEEP_ALIVE_S = 120  # a training may be silent between two reports; a connection that is gone costs a retry

_log = logging.getLogger(__name__)


class Listener:
    """Serve an application over HTTP.

    Args:
        app: The application.
        host: Where to listen.
        port: The port; 0 takes a free one, and keeps it for the next start.
        name: How errors call it: ``"The sidecar"``.
        certificate: Files with a certificate and its key (PEM): it speaks HTTPS then.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        name: str,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._name = name
        self._certificate = certificate
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            LaunchError: It is not started.
        """
        if self._server is None:
            raise LaunchError(f"{self._name} is not started.", hint="Call start(), or use it in a with statement.")
        scheme = "http" if self._certificate is None else "https"
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else self._host  # noqa: S104  # it is compared, not bound
        return f"{scheme}://[{host}]:{self._port}" if ":" in host else f"{scheme}://{host}:{self._port}"

    def start(self) -> Self:
        """Listen; returns when requests are answered.

        Raises:
            LaunchError: The address cannot be listened on, or the server did not come up.
            SpecError: The certificate or its key cannot be used.
        """
        if self._server is not None:
            return self
        config = self._config()
        listener = self._bind()
        if self._certificate is None and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            _log.warning("%s listens on %s: other machines can reach it, without encryption.", self._name, self._host)
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="omniforge-listener", daemon=True
        )
        self._thread.start()
        if not self._server.is_up.wait(_START_S):
            self.stop()
            raise LaunchError(f"{self._name} did not come up within {_START_S:g} s.")
        return self

    def stop(self, *, before: Callable[[], None] | None = None) -> None:
        """Stop listening; requests in progress are finished. Stopping twice is fine.

        Args:
            before: Called when no new connection is taken any more, so that what waits for an answer gets one.
        """
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None:
            server.should_exit = True
        if before is not None:
            before()
        if server is None or thread is None:
            return
        thread.join(_STOP_S)
        if thread.is_alive():
            server.force_exit = True
            thread.join(_STOP_S)

    def _config(self) -> uvicorn.Config:
        certificate, key = self._certificate or (None, None)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
            server_header=False,
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as e:
            raise SpecError(
                f"The certificate {certificate} and its key {key} cannot be used: {e}.",
                hint="Both are PEM files; the key has no passphrase and belongs to the certificate.",
            ) from e
        return config

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=128)
        except (OSError, OverflowError) as e:
            raise LaunchError(
                f"{self._name} cannot listen on {self._host!r}, port {self._port}: {e}.",
                hint="Port 0 takes a free one.",
            ) from e
        # Its connections inherit this. Headers and body are written one after the other, and the second would otherwise
        # wait for the first to be acknowledged: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        return listener


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()
