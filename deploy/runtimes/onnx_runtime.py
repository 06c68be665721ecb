"""ONNX Runtime on the processor: the runtime that screens every candidate in the loop."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MeasurementError, MissingDependencyError
from .base import Runtime, RuntimeOptions, Session, TensorSpec, failed_batch, named, only_on, other_shape, unusable

try:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures
except ImportError as e:
    raise MissingDependencyError("The runtime 'onnxruntime' is not installed.", hint="pip install onnxruntime") from e

if TYPE_CHECKING:
    import numpy as np

    from ..devices import Device

# ONNX Runtime's own exceptions have no common base below Exception.
_FAILURES = (
    *(failures.Fail, failures.InvalidArgument, failures.InvalidGraph, failures.InvalidProtobuf, failures.NoModel),
    *(failures.NoSuchFile, failures.NotImplemented, failures.RuntimeException, failures.EPFail, failures.EngineError),
)
_LOG_NOTHING = 4  # what fails is raised; ONNX Runtime would write it to the standard error as well
# In float16, this optimizer of convolutions ends the process on a Transpose before a MatMul, which attention has
# (https://github.com/microsoft/onnxruntime/issues/28392). Float16 is computed in float32 here, so little is lost without it.
_CRASHING = ["NchwcTransformer"]
_HALF_CAST = b"\x0a\x02to\x18\x0a"  # how ONNX writes the attribute ``to = FLOAT16``
_HALF_INPUT = b"\x08\x0a\x12"  # how the type of a float16 input is written, near the end of the file
_TAIL_BYTES = 4096

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


class OnnxSession(Session):
    """A model in ONNX Runtime: one input ``[batch, ...]``, one output ``[batch, k]``."""

    def __init__(self, session: Any, model: Path | str | bytes) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        fits = len(inputs) == 1 and len(outputs) == 1 and {inputs[0].type, outputs[0].type} <= set(_DTYPES)
        if not fits or len(inputs[0].shape) < 2:
            shapes = ", ".join(f"{value.name} {value.type}{value.shape}" for value in [*inputs, *outputs])
            raise other_shape(model, shapes)
        first, *rest = (size if isinstance(size, int) else None for size in inputs[0].shape)
        self.input = TensorSpec(tuple(rest), _DTYPES[inputs[0].type], first)
        self._run = session.run
        self._input = inputs[0].name
        self._outputs = [outputs[0].name]
        self._float32 = _DTYPES[outputs[0].type] == "float32"

    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: D102  # the contract says it
        try:
            result: np.ndarray[Any, Any] = self._run(self._outputs, {self._input: batch})[0]
        except _FAILURES as e:
            raise failed_batch("ONNX Runtime", self.input, batch, cause=_first_line(e)) from e
        return result if self._float32 else result.astype("float32")

    def close(self) -> None:
        """Drop the model; ONNX Runtime frees it at once."""
        self._run = _closed


class OnnxRuntime(Runtime):
    """ONNX Runtime with its processor provider and all graph optimizations."""

    name = "onnxruntime"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> OnnxSession:
        """Load a model; ``options.extra`` are entries of ONNX Runtime's session configuration."""
        only_on(self.name, device)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.log_severity_level = _LOG_NOTHING
        for key, value in options.extra.items():
            settings.add_session_config_entry(key, str(value))
        source = model if isinstance(model, bytes) else str(model)
        try:
            session = onnxruntime.InferenceSession(
                source,
                settings,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # with a fallback, it prints what fails and tries the same once more
                disabled_optimizers=_CRASHING if _has_half(model) else None,
            )
            return OnnxSession(session, model)
        except MeasurementError:
            raise
        except (*_FAILURES, RuntimeError, ValueError) as e:  # a broken name, too, is an error of its own
            raise unusable(f"{named(model)} cannot be loaded by ONNX Runtime: {_first_line(e)}") from e

    def versions(self) -> dict[str, str]:
        """Return ONNX Runtime's version."""
        return {"onnxruntime": str(onnxruntime.__version__)}


def _has_half(model: Path | str | bytes) -> bool:
    """Say whether a model computes in float16, as far as a look at the file tells: it casts to it, or reads it."""
    if isinstance(model, bytes):
        return _HALF_CAST in model or _HALF_INPUT in model[-_TAIL_BYTES:]
    try:
        with Path(model).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_HALF_CAST) >= 0 or _HALF_INPUT in content[-_TAIL_BYTES:]
    except (OSError, ValueError):  # missing or empty, which ONNX Runtime says in its own words
        return False


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _closed(*_: object) -> Any:
    raise unusable("The session is closed.")
