"""What every request passes before it is looked at: who sends it, and how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION = "omniforge.session"
"""The key under which what the token of a request stands for lies in its scope."""

PUBLIC = frozenset({"/v1/health", "/v1/openapi.json"})


class Gate:
    """Let in who has a token that is known, and no more than a body may hold.

    Args:
        app: The application behind it.
        find: Returns what a token stands for; ``None`` for one that is not known.
        limit_of: Returns how many bytes the body of a request to a path may have.
        refusal: What is said to those who have no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        find: Callable[[str], object | None],
        limit_of: Callable[[str], int],
        refusal: str,
    ) -> None:
        self._app = app
        self._find = find
        self._limit_of = limit_of
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 401 or 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        if scope["path"] not in PUBLIC:
            found = self._of_token(scope)
            if found is None:
                await _refuse(401, self._refusal, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope[SESSION] = found
        if int(_header(scope, b"content-length") or 0) > limit:  # the server has checked that it is a number
            await _refuse(413, _too_large(limit), {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)

    def _of_token(self, scope: Scope) -> object | None:
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        return self._find(token.strip()) if scheme.lower() == "bearer" else None


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
