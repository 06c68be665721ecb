"""The client of a device agent: measure a model on another machine as if it were this one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ...deploy.report import DeploymentReport
from ...deploy.runtimes import RUNTIMES
from ...deploy.runtimes.base import unusable
from ...errors import MeasurementError, MissingDependencyError, SpecError, UnknownNameError
from .connection import ANSWER_S, Connection, DeviceError, DeviceLostError, Stopped, never
from .messages import PROTOCOL, DeviceMessage, FailureReason, Limits, MeasurementMessage, MeasurementRequest
from .sending import Open, Sender

if TYPE_CHECKING:
    import numpy as np

    from ...deploy.devices import Device
    from ...deploy.measurement import MeasureOptions

_POLL_S = 10.0  # one answer to "has it ended?" may take so long; less where patience is shorter
_LAST_WORD_S = 0.6  # for telling the device that a measurement is not wanted
_RETURNS = 3  # how often a measurement is asked for again after its device forgot it
_JSON = {"Content-Type": "application/json"}

_log = logging.getLogger(__name__)


class DeviceClient:
    """Measure on one device. Its methods may be called from any thread.

    A device that is away, or hangs, is waited for, up to ``patience_s`` at a time; when it comes back, an upload goes on
    where it was cut, and a measurement that the device has forgotten is asked for again. A measurement that ends early
    here, by an exception or by :meth:`close`, is cancelled on the device too, if the device can be told.

    Args:
        device: The device, with the address of its agent.
        client_name: Who asks, such as the job's id: a device takes turns among its clients.
        patience_s: How long the device may be away, in seconds.

    Raises:
        SpecError: The device has no agent, or its address, its token or its certificate cannot be used.
    """

    def __init__(self, device: Device, *, client_name: str, patience_s: float = 60.0) -> None:
        if not 0 < len(client_name) <= 200:
            raise SpecError(f"client_name = {client_name!r}: expected 1 to 200 characters.")
        self._client_name = client_name
        self._connection = Connection(device, patience_s=patience_s)
        self._sender = Sender(self._connection)
        self._limits: Limits | None = None
        self._asked: set[str] = set()  # the keys of the measurements that are under way
        self._closed = threading.Event()

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
        content = self._connection.json(self._connection.ask("GET", "device"))
        return DeviceMessage.model_validate(content).model_dump()

    def limits(self, *, stopped: Stopped = never) -> Limits:
        """Return what the device takes; it is asked for once.

        Args:
            stopped: Whether the answer is not wanted any more.

        Raises:
            DeviceLostError: It does not answer.
            DeviceError: It refuses: the token is wrong, its version is another.
        """
        if self._limits is None:
            content = self._connection.json(self._connection.ask("GET", "limits", stopped=stopped))
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
            cancelled: When it is set, this returns within a second, wherever it waits, and the measurement is cancelled
                on the device too.

        Raises:
            DeviceLostError: The device is away, or hangs, for longer than ``patience_s``. A retry can help.
            DeviceError: The device refuses for a reason that is not the model's, or its queue is full for ten minutes.
            MeasurementError: The model is to blame (not retryable): it is broken, crashes, hangs, predicts NaN, or is
                larger than the device takes; or the measurement was cancelled (retryable).
            SpecError: There is no such file, the rows do not fit, or an option is wrong.
            UnknownNameError: There is no such runtime.
            MissingDependencyError: The device does not have the runtime; the hint is for the device.
        """
        model = Path(model)
        _check_file(model)
        content = _npy(rows)

        def stopped() -> bool:
            return self._closed.is_set() or (cancelled is not None and cancelled.is_set())

        limit = self.limits(stopped=stopped).max_upload_bytes
        for what, size in (("model", model.stat().st_size), ("table of rows", len(content))):
            if size > limit:
                raise self._connection.too_large(
                    f"The {what} has {size} bytes; the device {self.name!r} takes {limit}."
                )
        with model.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        uploads: dict[str, tuple[Open, int]] = {
            digest: (lambda: model.open("rb"), model.stat().st_size),
            hashlib.sha256(content).hexdigest(): (lambda: io.BytesIO(content), len(content)),
        }
        request = self._request(digest, [*uploads][-1], runtime=runtime, options=options)
        try:
            ended = self._until_ended(request, uploads, stopped)
        except DeviceLostError:
            self._asked.discard(request.key)  # nobody is there to be told; it goes on if it is asked for again soon
            raise
        except BaseException:
            self._forget(request.key, limit_s=_LAST_WORD_S)
            raise
        self._forget(request.key, limit_s=min(ANSWER_S, self._connection.patience_s))
        if ended.failure is not None:
            raise self._blame(ended.failure)
        return replace(DeploymentReport.from_dict(ended.report or {}), device=self.name)

    def close(self) -> None:
        """Close the connection. A measurement under way in another thread is cancelled, there and on the device."""
        self._closed.set()
        for key in list(self._asked):
            self._forget(key, limit_s=_LAST_WORD_S)
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
        self, request: MeasurementRequest, uploads: Mapping[str, tuple[Open, int]], stopped: Stopped
    ) -> MeasurementMessage:
        """Upload, ask, and wait; from the start again when the device has forgotten.

        Raises:
            MeasurementError: It was cancelled, or the device forgets again and again.
        """
        connection, gone = self._connection, int(httpx.codes.NOT_FOUND)
        content = request.model_dump_json().encode()
        wait_s = min(_POLL_S, connection.patience_s / 2)  # one that hangs is noticed soon after patience has ended
        for _ in range(_RETURNS + 1):
            for digest, (opened, size_bytes) in uploads.items():
                self._sender.send(digest, opened, size_bytes, stopped=stopped)
            self._asked.add(request.key)
            response = connection.ask(
                "POST", "measurements", content=content, headers=_JSON, stopped=stopped, allowed=gone
            )
            while response.status_code != gone:
                message = MeasurementMessage.model_validate(connection.json(response))
                if message.state in ("done", "failed"):
                    return message
                response = connection.ask(
                    "GET",
                    f"measurements/{request.key}",
                    params={"wait_s": wait_s},
                    wait_s=wait_s,
                    stopped=stopped,
                    allowed=gone,
                )
            _log.info("Device %s has forgotten measurement %s; asking again.", self.name, request.key)
        raise unusable(
            f"The device {self.name!r} lost this measurement {_RETURNS + 1} times.",
            hint="The model may be what makes it restart.",
        )

    def _forget(self, key: str, *, limit_s: float) -> None:
        """Say that a result has arrived, or is not wanted: what is asked for again is measured anew."""
        if key not in self._asked:
            return  # the device was not asked, or has been told
        self._asked.discard(key)
        send = partial(self._connection.http.delete, f"v1/measurements/{key}", timeout=limit_s)
        with contextlib.suppress(httpx.HTTPError, DeviceError, RuntimeError):  # then the device gives it up by itself
            self._connection.attempt(send, limit_s=limit_s)

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
