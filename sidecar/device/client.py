"""The client of a device agent: measure a model on another machine as if it were this one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import httpx

from ...deploy.report import DeploymentReport
from ...deploy.runtimes import RUNTIMES
from ...deploy.runtimes.base import unusable
from ...errors import MeasurementError, MissingDependencyError, SpecError, UnknownNameError
from .connection import ANSWER_S, Connection, DeviceError, refusal
from .messages import (
    LENGTH_HEADER,
    OFFSET_HEADER,
    PROTOCOL,
    DeviceMessage,
    FailureReason,
    Limits,
    MeasurementMessage,
    MeasurementRequest,
    UploadMessage,
)

if TYPE_CHECKING:
    import numpy as np

    from ...deploy.devices import Device
    from ...deploy.measurement import MeasureOptions

_POLL_S = 20.0  # one answer to "has it ended?" may take so long
_CHECK_S = 120.0  # a slow device needs its time to check the digest of what has arrived
_RETURNS = 3  # how often a measurement is asked for again after its device forgot it
_BLOCK_BYTES = 2**18
_BEHIND_S = 0.5
_JSON = {"Content-Type": "application/json"}

_log = logging.getLogger(__name__)

_Open = Callable[[], BinaryIO]


class DeviceClient:
    """Measure on one device. Its methods may be called from any thread.

    A device that is away is waited for, up to ``patience_s`` at a time; when it comes back, an upload goes on where it
    was cut, and a measurement that the device has forgotten is asked for again.

    Args:
        device: The device, with the address of its agent.
        client_name: Who asks, such as the job's id: a device takes turns among its clients.
        patience_s: How long the device may be away, in seconds.

    Raises:
        SpecError: The device has no agent, or its certificate cannot be read.
    """

    def __init__(self, device: Device, *, client_name: str, patience_s: float = 60.0) -> None:
        if not 0 < len(client_name) <= 200:
            raise SpecError(f"client_name = {client_name!r}: expected 1 to 200 characters.")
        self._client_name = client_name
        self._patience_s = patience_s
        self._connection = Connection(device, patience_s=patience_s)
        self._limits: Limits | None = None

    @property
    def name(self) -> str:
        """What the device is called here."""
        return self._connection.name

    def info(self) -> dict[str, Any]:
        """Return what the device is and has: name, hardware, runtimes with versions, meters, limits.

        Raises:
            DeviceLostError: It does not answer.
            DeviceError: It refuses: the token is wrong, its version is another.
        """
        self.limits()
        return DeviceMessage.model_validate_json(self._ask("GET", "device").content).model_dump()

    def limits(self) -> Limits:
        """Return what the device takes; it is asked for once.

        Raises:
            DeviceLostError: It does not answer.
            DeviceError: It refuses: the token is wrong, its version is another.
        """
        if self._limits is None:
            content = self._json(self._ask("GET", "limits"))
            spoken = content.get("protocol")
            if spoken != PROTOCOL:
                raise DeviceError(
                    f"The device {self.name!r} speaks version {spoken!r} of the protocol; this is version {PROTOCOL}.",
                    hint="Install the same version of omniforge on both machines.",
                )
            self._limits = Limits.model_validate(content)
        return self._limits

    def measure(
        self,
        model: Path,
        rows: np.ndarray[Any, Any],
        *,
        runtime: str | None = None,
        options: MeasureOptions | None = None,
        cancelled: threading.Event | None = None,
    ) -> DeploymentReport:
        """Measure a model on the device; returns when its turn has come and it is done.

        Args:
            model: The ONNX file, with its weights inside.
            rows: Real rows, ``n x input.shape``.
            runtime: The runtime's name; ``None``: the device's own.
            options: How thorough; ``None``: the defaults.
            cancelled: When it is set, the measurement is cancelled on the device too.

        Raises:
            DeviceLostError: The device is away for longer than ``patience_s``. A retry can help.
            DeviceError: The device refuses for a reason that is not the model's.
            MeasurementError: The model is to blame (not retryable): it is broken, crashes, hangs, predicts NaN, or is
                larger than the device takes; or the measurement was cancelled (retryable).
            SpecError: There is no such file, the rows do not fit, or an option is wrong.
            UnknownNameError: There is no such runtime.
            MissingDependencyError: The device does not have the runtime; the hint is for the device.
        """
        model = Path(model)
        _check_file(model)
        content = _npy(rows)
        limit = self.limits().max_upload_bytes
        for what, size in (("model", model.stat().st_size), ("table of rows", len(content))):
            if size > limit:
                raise self._too_large(f"The {what} has {size} bytes; the device {self.name!r} takes {limit}.")
        with model.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        uploads: dict[str, tuple[_Open, int]] = {
            digest: (lambda: model.open("rb"), model.stat().st_size),
            hashlib.sha256(content).hexdigest(): (lambda: io.BytesIO(content), len(content)),
        }
        request = self._request(digest, [*uploads][-1], runtime=runtime, options=options)
        ended = self._until_ended(request, uploads, cancelled)
        self._forget(request.key)
        if ended.failure is not None:
            raise self._blame(ended.failure)
        return replace(DeploymentReport.from_dict(ended.report or {}), device=self.name)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _request(
        self, model: str, rows: str, *, runtime: str | None, options: MeasureOptions | None
    ) -> MeasurementRequest:
        """Return the request; its key says all of it, so that the same is measured once for a client that asks again."""
        if runtime is not None and runtime not in RUNTIMES:
            raise UnknownNameError("runtime", runtime, RUNTIMES)
        request = MeasurementRequest(
            key="0" * 64, client=self._client_name, model=model, rows=rows, runtime=runtime, options=_plain(options)
        )
        key = hashlib.sha256(json.dumps(request.model_dump(), sort_keys=True).encode()).hexdigest()
        return request.model_copy(update={"key": key})

    def _until_ended(
        self, request: MeasurementRequest, uploads: Mapping[str, tuple[_Open, int]], cancelled: threading.Event | None
    ) -> MeasurementMessage:
        """Upload, ask, and wait; from the start again when the device has forgotten.

        Raises:
            MeasurementError: It was cancelled, or the device forgets again and again.
        """
        content = request.model_dump_json().encode()
        wait_s = min(_POLL_S, max(self._patience_s, 1.0)) if cancelled is None else 1.0
        for _ in range(_RETURNS + 1):
            for digest, (opened, size_bytes) in uploads.items():
                self._upload(digest, opened, size_bytes)
            response = self._ask("POST", "measurements", content=content, headers=_JSON, forgotten=True)
            while response.status_code != httpx.codes.NOT_FOUND:
                message = MeasurementMessage.model_validate(self._json(response))
                if message.state in ("done", "failed"):
                    return message
                if cancelled is not None and cancelled.is_set():
                    self._forget(request.key)
                    raise MeasurementError("The measurement was cancelled.")
                response = self._ask(
                    "GET",
                    f"measurements/{request.key}",
                    params={"wait_s": wait_s},
                    timeout_s=wait_s + ANSWER_S,
                    forgotten=True,
                )
            _log.info("Device %s has forgotten measurement %s; asking again.", self.name, request.key)
        raise unusable(
            f"The device {self.name!r} lost this measurement {_RETURNS + 1} times.",
            hint="The model may be what makes it restart.",
        )

    def _forget(self, key: str) -> None:
        """Say that the result has arrived, or is not wanted: what is asked for again is measured anew."""
        with contextlib.suppress(httpx.TransportError):  # then the device keeps the result for a while, no more
            self._connection.http.delete(f"v1/measurements/{key}")

    def _upload(self, digest: str, opened: _Open, size_bytes: int) -> None:
        """Send what the device does not have of a content.

        Raises:
            MeasurementError: It is too large.
            DeviceError: It arrives damaged every time.
        """
        damaged = 0
        while True:
            response = self._connection.persist(lambda: self._send_rest(digest, opened, size_bytes))
            if response.status_code == httpx.codes.CONFLICT:
                time.sleep(_BEHIND_S)  # another client sends the same: look again how far it is
            elif response.status_code == httpx.codes.UNPROCESSABLE_ENTITY and damaged < 1:
                damaged += 1  # what an earlier, interrupted upload left may be what was wrong
            elif UploadMessage.model_validate(self._json(self._accepted(response))).complete:
                return

    def _send_rest(self, digest: str, opened: _Open, size_bytes: int) -> httpx.Response:
        """Ask how much has arrived, and send the rest."""
        asked = self._ask("GET", f"uploads/{digest}", params={"size_bytes": size_bytes})
        state = UploadMessage.model_validate(self._json(asked))
        if state.complete:
            return asked
        headers = {
            OFFSET_HEADER: str(state.received_bytes),
            LENGTH_HEADER: str(size_bytes),
            "Content-Length": str(size_bytes - state.received_bytes),
            "Content-Type": "application/offset+octet-stream",
        }
        with opened() as file:
            file.seek(state.received_bytes)
            blocks = iter(lambda: file.read(_BLOCK_BYTES), b"")
            try:
                timeout = httpx.Timeout(ANSWER_S, read=_CHECK_S)
                return self._connection.http.patch(
                    f"v1/uploads/{digest}", content=blocks, headers=headers, timeout=timeout
                )
            except httpx.TransportError:
                again = self._ask("GET", f"uploads/{digest}")
                if UploadMessage.model_validate(self._json(again)).received_bytes > state.received_bytes:
                    return again  # a line that is cut again and again, but moves on: patience begins anew
                raise

    def _ask(self, method: str, path: str, *, forgotten: bool = False, **rest: Any) -> httpx.Response:
        response = self._connection.request(method, path, **rest)
        if forgotten and response.status_code == httpx.codes.NOT_FOUND:
            return response
        return self._accepted(response)

    def _accepted(self, response: httpx.Response) -> httpx.Response:
        if not response.is_error:
            return response
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise self._too_large(f"The device {self.name!r} refuses: {refusal(response)}")
        raise DeviceError(
            f"The device {self.name!r} refuses ({response.status_code}): {refusal(response)}",
            hint=f"Is there an omniforge device agent at {self._connection.url}?",
            status=response.status_code,
        )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise DeviceError(f"What answers at {self._connection.url} is no omniforge device agent.")
        return content

    def _too_large(self, message: str) -> MeasurementError:
        return unusable(message, hint="A smaller model, fewer rows, or --max-upload-mb where the device is served.")

    def _blame(self, failure: FailureReason) -> Exception:
        """Return the error that a failed measurement is."""
        on = f"On device {self.name!r}: "
        if failure.kind == "MissingDependencyError":
            return MissingDependencyError(on + failure.message, hint=failure.hint)
        if failure.kind in ("SpecError", "UnknownNameError"):
            return SpecError(on + failure.message, hint=failure.hint)
        error = MeasurementError(on + failure.message, hint=failure.hint)
        error.retryable = failure.retryable
        return error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_file(model: Path) -> None:
    if not model.is_file():
        raise SpecError(f"Model {str(model)!r} is no file.", hint="Export it to a single file first.")
    beside = model.with_name(model.name + ".data")
    if beside.exists():
        raise SpecError(
            f"Model {str(model)!r} has weights in a file of its own, {beside.name}; a device takes one file.",
            hint="Export it into a single file: external_data=False.",
        )


def _plain(options: MeasureOptions | None) -> dict[str, Any]:
    """Return options as JSON values."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(asdict(options))) if options is not None else {}
    except TypeError as e:
        raise SpecError(f"The options cannot be sent to a device: {e}.") from e
    return plain


def _npy(rows: np.ndarray[Any, Any]) -> bytes:
    """Return rows as the content of a ``.npy`` file."""
    import numpy as np

    table = np.asarray(rows)
    if table.dtype.kind not in "buif" or table.ndim < 2 or len(table) == 0:
        raise SpecError(f"rows is {table.dtype} {list(table.shape)}; expected numbers, n x the shape of a row.")
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(table), allow_pickle=False)
    return buffer.getvalue()
