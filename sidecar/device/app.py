"""The device agent's HTTP interface: routes, statuses and their description. What they do is in the modules beside it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect

from ...errors import OmniForgeError
from ..app import answer_invalid
from ..gate import Gate
from ..messages import ErrorMessage, Health
from ..spool import DigestMismatchError
from .measurements import Measurements, QueueFullError, StoppingError, UnknownMeasurementError
from .messages import (
    DIGEST,
    LENGTH_HEADER,
    OFFSET_HEADER,
    PROTOCOL,
    DeviceMessage,
    Limits,
    MeasurementMessage,
    MeasurementRequest,
    UploadMessage,
)
from .tokens import Token
from .uploads import UploadError, Uploads

MAX_MESSAGE_BYTES = 2**20
MAX_WAIT_S = 60.0
UPLOADS_PATH = "/v1/uploads/"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BINARY: dict[str, Any] = {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def _refusals(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of refusals, by status: ``s404="no such thing"``."""
    return {int(name[1:]): {"model": ErrorMessage, "description": reason} for name, reason in reasons.items()}


@dataclass(frozen=True)
class Parts:
    """What the routes work with.

    Args:
        describe: Returns what the device is and has.
        limits: What it takes.
        uploads: The files.
        measurements: The queue and the results.
    """

    describe: Callable[[], DeviceMessage]
    limits: Limits
    uploads: Uploads
    measurements: Measurements


public = APIRouter(prefix="/v1")
router = APIRouter(
    prefix="/v1",
    responses=_refusals(
        s401="the token is not the device's", s413="more than the device takes", s422="a field is missing or wrong"
    ),
    dependencies=[Depends(HTTPBearer(auto_error=False, description="the device's token"))],
)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Of = Annotated[Parts, Depends(_parts)]
DigestPath = Annotated[str, Path(pattern=DIGEST, description="the SHA-256 of the whole content, in hexadecimal")]


@public.get("/health")
def health() -> Health:
    """Say that the agent answers; needs no token."""
    return Health(version=str(PROTOCOL))


@router.get("/device")
def device(parts: Of) -> DeviceMessage:
    """Say what the device is and has."""
    return parts.describe()


@router.get("/limits")
def limits(parts: Of) -> Limits:
    """Say what the device takes; cheaper than all of it."""
    return parts.limits


@router.get("/uploads/{sha256}", responses={200: {"headers": {OFFSET_HEADER: {"schema": {"type": "integer"}}}}})
@router.head("/uploads/{sha256}", include_in_schema=False)
def upload_state(
    sha256: DigestPath,
    parts: Of,
    response: Response,
    size_bytes: Annotated[int | None, Query(ge=0, description="how large it will be: refused now if too large")] = None,
) -> UploadMessage:
    """Say how many bytes of a content have arrived; go on from there."""
    return _state(parts.uploads.arrived(sha256, size_bytes=size_bytes), response)


@router.patch(
    "/uploads/{sha256}",
    responses=_refusals(
        s408="nothing came for long",
        s409="the bytes go on elsewhere: ask where",
        s507="no room",
    ),
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
)
async def append(
    request: Request,
    sha256: DigestPath,
    parts: Of,
    response: Response,
    offset: Annotated[int, Header(alias=OFFSET_HEADER, ge=0, description="where these bytes go")],
    length: Annotated[int, Header(alias=LENGTH_HEADER, ge=0, description="how large the whole content is")],
) -> UploadMessage:
    """Send bytes of a content; what arrives before the line breaks is kept."""
    arrived = await parts.uploads.append(sha256, offset=offset, size_bytes=length, stream=request.stream())
    return _state(arrived, response)


@router.post(
    "/measurements",
    responses=_refusals(
        s404="the model or the rows are not here: upload them",
        s429="too many measurements wait",
        s503="the agent is about to end",
    ),
)
def post_measurement(message: MeasurementRequest, parts: Of) -> MeasurementMessage:
    """Ask for a measurement. Asked for again under the same key, it is the same one."""
    return parts.measurements.post(message)


@router.get(
    "/measurements/{key}",
    responses=_refusals(s404="no such measurement: ask for it again", s503="the agent is about to end"),
)
async def get_measurement(
    key: str,
    parts: Of,
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="answer later, when it has ended")] = 0.0,
) -> MeasurementMessage:
    """Say where a measurement stands, and what came out of it."""
    if wait_s > 0:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who waited
                loop.call_soon_threadsafe(ended.set)

        unwatch = parts.measurements.watch(key, wake)
        try:
            async with asyncio.timeout(wait_s):
                await ended.wait()
        except TimeoutError:
            pass
        finally:
            unwatch()
    return parts.measurements.get(key)


@router.delete("/measurements/{key}", status_code=204)
def delete_measurement(key: str, parts: Of) -> None:
    """Cancel a measurement, or say that its result has arrived and can be forgotten."""
    parts.measurements.drop(key)


def build_app(parts: Parts, *, token: Token) -> FastAPI:
    """Return the agent's application.

    Args:
        parts: What it works with.
        token: Who may use it.
    """
    from ... import __version__

    app = FastAPI(
        title="Omniforge device agent",
        version=__version__,
        description="Takes models, measures them one at a time on this machine, and gives the reports.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.include_router(public)
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(OmniForgeError, _answer_error)
    app.add_exception_handler(OSError, _answer_disk)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_middleware(
        Gate,
        find=token.matches,
        limit_of=lambda path: parts.limits.max_upload_bytes if path.startswith(UPLOADS_PATH) else MAX_MESSAGE_BYTES,
        refusal="This device's token is needed, as a bearer token.",
    )
    return app


def _state(arrived: Any, response: Response) -> UploadMessage:
    response.headers[OFFSET_HEADER] = str(arrived.received_bytes)
    return UploadMessage(sha256=arrived.sha256, received_bytes=arrived.received_bytes, complete=arrived.complete)


_STATUSES: dict[type[Exception], int] = {
    UnknownMeasurementError: 404,
    QueueFullError: 429,
    StoppingError: 503,
    DigestMismatchError: 422,
}


def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, UploadError) else _STATUSES.get(type(error), 500)
    # The body of a refused upload is not read: the connection ends with the answer.
    headers = {"Connection": "close"} if isinstance(error, UploadError) else None
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


def _answer_nobody(_request: Request, _error: Exception) -> Response:
    """Say nothing: the client has gone in the middle of an upload, which is no error of the agent's."""
    return Response(status_code=400)


def _answer_disk(_request: Request, error: Exception) -> JSONResponse:
    """Say that the disk is full; any other failure of it is the server's."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return JSONResponse({"detail": f"The device cannot keep it: {error.strerror}."}, status_code=507)
    raise HTTPException(500, f"The device failed: {error}.") from error
