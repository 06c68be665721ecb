"""What every request passes before it is looked at: who sends it, and how much."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .session import Session
from .sessions import Sessions

SESSION = "omniforge.session"
"""The key under which the session of a request lies in its scope."""

PUBLIC = frozenset({"/v1/health", "/v1/openapi.json"})
MODEL_PATH = "/v1/model"


class Gate:
    """Let in who has the token of an open session, and no more than a body may hold.

    Args:
        app: The application behind it.
        sessions: The sessions that are open.
        max_message_bytes: The largest JSON body.
        max_model_bytes: The largest model.
    """

    def __init__(self, app: ASGIApp, *, sessions: Sessions, max_message_bytes: int, max_model_bytes: int) -> None:
        self._app = app
        self._sessions = sessions
        self._max_message_bytes = max_message_bytes
        self._max_model_bytes = max_model_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 401 or 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_model_bytes if scope["path"] == MODEL_PATH else self._max_message_bytes
        if scope["path"] not in PUBLIC:
            session = self._session(scope)
            if session is None:
                refusal = "A bearer token of an open session is needed."
                await _refuse(401, refusal, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope[SESSION] = session
        if int(_header(scope, b"content-length") or 0) > limit:  # the server has checked that it is a number
            await _refuse(413, _too_large(limit), {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)

    def _session(self, scope: Scope) -> Session | None:
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        return self._sessions.find(token.strip()) if scheme.lower() == "bearer" else None


def _counted(receive: Receive, limit: int) -> Receive:
    """Return ``receive`` that raises when a body without an announced length grows too large."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted


def _header(scope: Scope, name: bytes) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def _too_large(limit: int) -> str:
    return f"The body is larger than the {limit} bytes that are allowed."


def _refuse(status: int, detail: str, headers: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
