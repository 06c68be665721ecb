"""The client of the sidecar: how a task estimator and a deployment estimator talk to their worker."""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401  # like httpcore: a fork server that preloads this module is to have it too
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpcore  # noqa: F401  # httpx loads it with its first client, and that takes 20 ms
import httpx

from ..errors import OmniForgeError, SpecError, StaleAttemptError
from .messages import (
    MAX_TEXT,
    Decision,
    DeploymentMessage,
    ErrorMessage,
    FailureMessage,
    Message,
    ModelReceipt,
    ProgressMessage,
    Receipt,
    ResultMessage,
    TaskMessage,
)
from .session import TOKEN_VARIABLE, URL_VARIABLE

M = TypeVar("M", bound=Message)

_DIGEST_HEADER = "X-Content-SHA256"
_TRY_AGAIN = {502, 503, 504}
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 1.0


class SidecarError(OmniForgeError, RuntimeError):
    """The sidecar does not answer, or refuses.

    Args:
        message: What it said.
        status: The HTTP status; ``None`` when it did not answer. Then, and above 499, a retry can help.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retryable = status is None or status in _TRY_AGAIN


class SidecarClient:
    """Speak for one task. Every call may be repeated safely, so those that fail on the way are.

    Proxies and other network settings of the environment are ignored. Its methods may be called from any thread.

    Args:
        url: Where the sidecar listens.
        token: The token of the task's session.
        timeout_s: How long one answer may take.
        patience_s: How long a call is repeated while the sidecar cannot be reached.
        task: What is to be done, when it is known already: it is not asked for then.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 60.0,
        patience_s: float = 10.0,
        task: TaskMessage | None = None,
    ) -> None:
        self._patience_s = patience_s
        self._task = task
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            trust_env=False,
            verify=url.startswith("https"),  # loading certificates takes longer than all the rest
        )

    @classmethod
    def from_environment(cls) -> Self:
        """Return the client of the session that the environment names.

        Raises:
            SpecError: A variable is missing.
        """
        try:
            return cls(os.environ[URL_VARIABLE], os.environ[TOKEN_VARIABLE])
        except KeyError as e:
            raise SpecError(f"Environment variable {e.args[0]} is missing.", hint="Is this run by a worker?") from None

    def task(self) -> TaskMessage:
        """Return what is to be done; it is asked for once.

        Raises:
            SidecarError: The sidecar does not answer or refuses; so do all other methods.
        """
        if self._task is None:
            self._task = self._call("GET", "task", answer=TaskMessage)
        return self._task

    def progress(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Report a step of the training; return whether it should stop.

        Raises:
            SpecError: The step is negative, or a metric is no number.
            StaleAttemptError: The task has an outcome already.
        """
        try:
            message = ProgressMessage(step=step, metrics=dict(metrics))
        except ValueError as e:
            raise SpecError(f"Progress at step {step!r} cannot be reported: {_first_reason(e)}.") from e
        return self._call("POST", "progress", message, answer=Decision).stop

    def result(
        self,
        metrics: Mapping[str, float],
        *,
        duration_s: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Report success; sent again, it changes nothing.

        Raises:
            SpecError: A metric is not a finite number, or there is none.
            StaleAttemptError: The attempt is not the current one, or something else was reported before.
        """
        attempt = self.task().attempt
        try:
            message = ResultMessage(
                attempt=attempt, metrics=dict(metrics), duration_s=duration_s, details=dict(details or {})
            )
        except ValueError as e:
            raise SpecError(f"The metrics {dict(metrics)!r} cannot be reported: {_first_reason(e)}.") from e
        self._call("POST", "result", message, answer=Receipt)

    def failure(self, cause: str, message: str, traceback: str = "") -> None:
        """Report failure; the end of a long text is kept, for there is the error.

        Raises:
            SpecError: The cause is not a word in lower case.
            StaleAttemptError: The attempt is not the current one, or something else was reported before.
        """
        attempt = self.task().attempt
        try:
            body = FailureMessage(
                attempt=attempt, cause=cause, message=message[-MAX_TEXT:], traceback=traceback[-MAX_TEXT:]
            )
        except ValueError as e:
            raise SpecError(f"The cause {cause!r} cannot be reported: {_first_reason(e)}.") from e
        self._call("POST", "failure", body, answer=Receipt)

    def put_model(self, path: Path) -> ModelReceipt:
        """Upload a model file.

        Raises:
            SpecError: There is no such file.
            StaleAttemptError: The task has an outcome already.
        """
        if not path.is_file():
            raise SpecError(f"Model {str(path)!r} is no file.", hint="Export it to a single file first.")
        with path.open("rb") as file:
            headers = {_DIGEST_HEADER: hashlib.file_digest(file, "sha256").hexdigest()}
        headers["Content-Length"] = str(path.stat().st_size)

        def send() -> httpx.Response:
            with path.open("rb") as file:
                return self._http.put("v1/model", params={"name": path.name}, headers=headers, content=file)

        return ModelReceipt.model_validate_json(self._persist(send).content)

    def get_model(self, destination: Path) -> Path:
        """Download the model; ``destination`` is there when it has arrived whole.

        Raises:
            SidecarError: No model has arrived (status 404), or it was damaged on the way.
        """
        partial = destination.with_name(f".{destination.name}.{os.getpid()}")
        destination.parent.mkdir(parents=True, exist_ok=True)

        def fetch() -> httpx.Response:
            digest = hashlib.sha256()
            with self._http.stream("GET", "v1/model") as response, partial.open("wb") as file:
                if response.is_error:
                    response.read()
                    return response
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    digest.update(chunk)
            if digest.hexdigest() != response.headers.get(_DIGEST_HEADER):
                raise SidecarError("The model was damaged on the way.")
            return response

        try:
            self._persist(fetch)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)
        return destination

    def deployment(self, report: Mapping[str, Any]) -> None:
        """Report the measurements of the model on a device.

        Args:
            report: A deployment report as a JSON object, with at least ``device`` and ``metrics``.

        Raises:
            SpecError: One of the two is missing or has another form.
        """
        try:
            message = DeploymentMessage(report=dict(report))
        except ValueError as e:
            raise SpecError(f"The deployment report cannot be sent: {_first_reason(e)}.") from e
        self._call("POST", "deployments", message, answer=Receipt)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _call(self, method: str, path: str, body: Message | None = None, *, answer: type[M]) -> M:
        content = None if body is None else body.model_dump_json().encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        response = self._persist(lambda: self._http.request(method, f"v1/{path}", content=content, headers=headers))
        return answer.model_validate_json(response.content)

    def _persist(self, send: Any) -> httpx.Response:
        """Send until there is an answer that is final.

        Raises:
            SidecarError: There was none in time, or it is a refusal.
            StaleAttemptError: The answer was 409.
        """
        deadline_s = time.monotonic() + self._patience_s
        delay_s = _FIRST_DELAY_S
        while True:
            final = time.monotonic() + delay_s > deadline_s
            try:
                response: httpx.Response = send()
            except httpx.TransportError as e:
                if final or isinstance(e, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
                    raise SidecarError(
                        f"The sidecar at {self._http.base_url} does not answer: {e or type(e).__name__}.",
                        hint="Its worker has ended, or the machine is overloaded.",
                    ) from e
            else:
                if final or response.status_code not in _TRY_AGAIN:
                    return _accepted(response)
            time.sleep(delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _accepted(response: httpx.Response) -> httpx.Response:
    if not response.is_error:
        return response
    detail = response.text[:1000]
    with contextlib.suppress(ValueError):
        detail = ErrorMessage.model_validate_json(response.content).detail
    if response.status_code == httpx.codes.CONFLICT:
        raise StaleAttemptError(detail)
    raise SidecarError(f"The sidecar refused ({response.status_code}): {detail}", status=response.status_code)


def _first_reason(error: ValueError) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
