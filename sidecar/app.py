"""The sidecar's HTTP interface: routes, statuses and their description. What they do is in :mod:`.session`."""

from __future__ import annotations

import errno
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer

from ..errors import StaleAttemptError
from .gate import SESSION, Gate
from .messages import (
    Decision,
    DeploymentMessage,
    ErrorMessage,
    FailureMessage,
    Health,
    ModelReceipt,
    ProgressMessage,
    Receipt,
    ResultMessage,
    TaskMessage,
)
from .session import Session
from .sessions import Sessions
from .spool import DigestMismatchError, spool

VERSION = "1.0"
MODEL_PATH = "/v1/model"
DIGEST_HEADER = "X-Content-SHA256"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorMessage, "description": "no bearer token of an open session"},
    422: {"model": ErrorMessage, "description": "a field is missing, unknown or has a wrong value"},
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorMessage, "description": "of another attempt, or the task has an outcome already"}
}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {413: {"model": ErrorMessage, "description": "the body is too large"}}
_NO_ROOM: dict[int | str, dict[str, Any]] = {507: {"model": ErrorMessage, "description": "the disk is full"}}

_log = logging.getLogger(__name__)

public = APIRouter(prefix="/v1")
router = APIRouter(
    prefix="/v1",
    responses=_REFUSALS | _TOO_LARGE,
    dependencies=[Depends(HTTPBearer(auto_error=False, description="the token of one task's session"))],
)


def _session(request: Request) -> Session:
    session: Session = request.scope[SESSION]  # the gate has put it there
    return session


OfTask = Annotated[Session, Depends(_session)]


@public.get("/health")
def health() -> Health:
    """Say that the sidecar answers; needs no token."""
    return Health(version=VERSION)


@router.get("/task")
def task(session: OfTask) -> TaskMessage:
    """Return what is to be done."""
    return session.task


@router.post(
    "/progress",
    responses=_CONFLICT | {503: {"model": ErrorMessage, "description": "the worker could not take it; try again"}},
)
def progress(message: ProgressMessage, session: OfTask) -> Decision:
    """Report a step of the training; the answer says whether to stop."""
    try:
        return Decision(stop=session.progress(message))
    except StaleAttemptError:
        raise
    except Exception as e:  # the boundary to the worker's own code, such as a store that is locked
        _log.exception("Progress of task %d could not be handed on.", session.task.task)
        raise HTTPException(503, f"The worker could not take it: {type(e).__name__}: {e}") from e


@router.post("/result", responses=_CONFLICT)
def result(message: ResultMessage, session: OfTask) -> Receipt:
    """Report success. The same result sent again changes nothing."""
    return Receipt(repeated=session.finish(message))


@router.post("/failure", responses=_CONFLICT)
def failure(message: FailureMessage, session: OfTask) -> Receipt:
    """Report failure. The same failure sent again changes nothing."""
    return Receipt(repeated=session.finish(message))


@router.put(
    "/model",
    responses=_CONFLICT | _NO_ROOM,
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
)
async def put_model(
    request: Request,
    session: OfTask,
    digest: Annotated[str, Header(alias=DIGEST_HEADER, pattern="^[0-9a-fA-F]{64}$")],
    name: Annotated[str, Query(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")] = "model.onnx",
) -> ModelReceipt:
    """Upload the trained model; it replaces an earlier one when it has arrived whole."""
    session.refuse_model()
    try:
        model = await spool(request.stream(), session.spool_dir / name, sha256=digest)
    except OSError as e:
        if e.errno in _FULL:
            raise HTTPException(507, f"The model cannot be kept: {e.strerror}.") from e
        raise
    session.keep_model(model)
    return ModelReceipt(name=name, sha256=model.sha256, size_bytes=model.size_bytes)


@router.get(
    "/model",
    response_class=FileResponse,
    responses={
        200: {"content": _BINARY, "description": f"the model; its digest is in {DIGEST_HEADER}"},
        404: {"model": ErrorMessage, "description": "no model has arrived"},
    },
)
def get_model(session: OfTask) -> FileResponse:
    """Download the model."""
    model = session.model
    if model is None:
        raise HTTPException(404, f"No model of task {session.task.task} has arrived.")
    return FileResponse(model.path, media_type="application/octet-stream", headers={DIGEST_HEADER: model.sha256})


@router.post("/deployments")
def deployment(message: DeploymentMessage, session: OfTask) -> Receipt:
    """Report the measurements of the model on a device; they replace earlier ones of that device and runtime."""
    session.keep_deployment(message.report)
    return Receipt(repeated=False)


def build_app(sessions: Sessions, *, max_message_bytes: int, max_model_bytes: int) -> FastAPI:
    """Return the application over a set of sessions."""
    app = FastAPI(
        title="Omniforge task sidecar",
        version=VERSION,
        description="Relays a task, its progress, its model and its outcome between a task estimator and its worker.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    app.include_router(public)
    app.include_router(router)
    app.add_exception_handler(StaleAttemptError, _answer_stale)
    app.add_exception_handler(DigestMismatchError, _answer_mismatch)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_middleware(
        Gate,
        find=sessions.find,
        limit_of=lambda path: max_model_bytes if path == MODEL_PATH else max_message_bytes,
        refusal="A bearer token of an open session is needed.",
    )
    return app


def _answer_stale(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=409)


def _answer_mismatch(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)


def answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    """Name the fields that are wrong, in one line and without what was sent."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    parts = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in errors]
    return JSONResponse({"detail": "; ".join(parts[:10])}, status_code=422)
