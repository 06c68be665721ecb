"""The sidecar's server: one per worker, in a thread, for as long as the worker lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .app import build_app
from .listener import Listener
from .messages import TaskMessage
from .session import Session
from .sessions import Sessions


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
        self._sessions = Sessions()
        self._app = build_app(self._sessions, max_message_bytes=max_message_bytes, max_model_bytes=max_model_bytes)
        self._listener = Listener(self._app, host, port, name="The sidecar")

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            LaunchError: It is not started.
        """
        return self._listener.url

    def start(self) -> Self:
        """Listen; returns when requests are answered.

        Raises:
            LaunchError: The address cannot be listened on, or the server did not come up.
        """
        self._listener.start()
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
        self._listener.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
