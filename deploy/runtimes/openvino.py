"""OpenVINO on the processor: networks only, it has no operators for trees, forests and linear models of ``ai.onnx.ml``.

Its default on processors that can is bfloat16; here it computes in float32 unless ``options.extra`` says otherwise, so
that runtimes are compared at the same precision.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MeasurementError, MissingDependencyError, SpecError
from .base import Runtime, RuntimeOptions, Session, TensorSpec, failed_batch, named, only_on, other_shape, unusable


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let OpenVINO be imported as if its telemetry were not installed.

    Otherwise every import is reported to its maker over the network, from a thread, and leaves a folder at home.
    """
    if "openvino_telemetry" in sys.modules:
        yield
        return
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what makes Python refuse an import
    try:
        yield
    finally:
        del sys.modules["openvino_telemetry"]


try:
    with _without_telemetry():
        import openvino
        from openvino.frontend import FrontEndManager, GeneralFailure, OpConversionFailure, OpValidationFailure
except ImportError as e:
    raise MissingDependencyError(
        "The runtime 'openvino' is not installed.", hint="pip install 'omniforge[openvino]'"
    ) from e

if TYPE_CHECKING:
    import numpy as np

    from ..devices import Device

_FAILURES = (RuntimeError, TypeError, ValueError, GeneralFailure, OpConversionFailure, OpValidationFailure)
_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "f64": "float64",
    "i64": "int64",
    "i32": "int32",
    "i8": "int8",
    "u8": "uint8",
    "boolean": "bool",
}
_NO_RULE = "No conversion rule found for operations: "
_FRAMES = ("Exception from ", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:", "While ")


class OpenVinoSession(Session):
    """A model in OpenVINO: one input ``[batch, ...]``, one output ``[batch, k]``."""

    def __init__(self, compiled: Any, spec: TensorSpec, *, float32: bool) -> None:
        self.input = spec
        self._infer = compiled.create_infer_request().infer
        self._tensor = openvino.Tensor
        self._running = threading.Lock()  # a request that runs refuses another prediction
        self._float32 = float32

    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: D102  # the contract says it
        try:
            if batch.dtype != self.input.dtype:  # OpenVINO would convert it without a word
                raise TypeError(f"{batch.dtype} instead of {self.input.dtype}")
            with self._running:
                results = self._infer(self._tensor(batch, shared_memory=batch.flags.writeable))
        except MeasurementError:
            raise
        except _FAILURES as e:
            raise failed_batch("OpenVINO", self.input, batch, cause=_reason(e)) from e
        result: np.ndarray[Any, Any] = next(iter(results.values()))
        return result if self._float32 else result.astype("float32")

    def close(self) -> None:
        """Drop the model; OpenVINO frees it at once."""
        self._infer = _closed


class OpenVinoRuntime(Runtime):
    """OpenVINO with its processor plugin, one stream, tuned for the latency of one prediction."""

    name = "openvino"

    def __init__(self) -> None:
        self._core = openvino.Core()
        self._core.get_versions("CPU")  # loads the plugin's library, which is no part of a model's cold start
        self._onnx = FrontEndManager().load_by_framework("onnx")

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> OpenVinoSession:
        """Load an ONNX file, its content, or OpenVINO's own ``.xml`` with the ``.bin`` beside it.

        ``options.extra`` are properties of OpenVINO's processor plugin (``INFERENCE_PRECISION_HINT``: ``"bf16"``).
        """
        only_on(self.name, device)
        try:
            network = self._read(model)
        except _FAILURES as e:
            raise _refusal(model, e) from e
        spec, float32 = _signature(network, model)
        try:
            compiled = self._core.compile_model(network, "CPU", _properties(options))
        except RuntimeError as e:
            if "property" in str(e):
                raise SpecError(f"extra: {_reason(e)}", hint=f"Given: {dict(options.extra)}.") from e
            raise _refusal(model, e) from e
        return OpenVinoSession(compiled, spec, float32=float32)

    def versions(self) -> dict[str, str]:
        """Return OpenVINO's version."""
        return {"openvino": str(openvino.__version__)}

    def _read(self, model: Path | str | bytes) -> Any:
        if isinstance(model, bytes):
            return self._onnx.convert(self._onnx.load(io.BytesIO(model)))
        if not Path(model).is_file():
            raise ValueError("there is no such file")
        if Path(model).suffix == ".xml":
            return self._core.read_model(str(model))
        return self._onnx.convert(self._onnx.load(str(model)))


def _properties(options: RuntimeOptions) -> dict[str, Any]:
    """Return the plugin's properties; on which cores to stay is the caller's to say, not OpenVINO's."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": False,
    } | dict(options.extra)


def _signature(network: Any, model: Path | str | bytes) -> tuple[TensorSpec, bool]:
    """Return what the model reads, and whether its output is float32 as it is."""
    types = [_DTYPES.get(port.element_type.get_type_name()) for port in (*network.inputs, *network.outputs)]
    fits = len(network.inputs) == 1 and len(network.outputs) == 1 and None not in types
    shape = network.inputs[0].partial_shape if fits else None
    if shape is None or shape.rank.is_dynamic or len(shape) < 2:
        ports = [*network.inputs, *network.outputs]
        found = ", ".join(f"{p.any_name} {p.element_type.get_type_name()}{p.partial_shape}" for p in ports)
        raise other_shape(model, found or "none at all")
    first, *rest = (size.get_length() if size.is_static else None for size in shape)
    return TensorSpec(tuple(rest), str(types[0]), first), types[1] == "float32"


def _refusal(model: Path | str | bytes, error: Exception) -> Exception:
    """Return the error of a model that OpenVINO does not take; it names the operators that OpenVINO does not have."""
    lines = [line.partition(_NO_RULE)[2] for line in str(error).splitlines() if _NO_RULE in line]
    if lines:
        names = ", ".join(name.strip() for name in lines[0].split(","))
        hint = "The runtime 'onnxruntime' runs all of ONNX, trees and linear models (ai.onnx.ml) included."
        return unusable(f"{named(model)} cannot be loaded by OpenVINO: it has no operator {names}.", hint=hint)
    return unusable(f"{named(model)} cannot be loaded by OpenVINO: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Return the line of OpenVINO's error that says what is wrong; those before it are places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(_FRAMES)]
    return (said or lines or [type(error).__name__])[0]


def _closed(*_: object) -> Any:
    raise unusable("The session is closed.")
