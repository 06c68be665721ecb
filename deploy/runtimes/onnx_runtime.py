"""ONNX Runtime on the processor: the runtime that screens every candidate in the loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError
from .base import Runtime, RuntimeOptions, Session, TensorSpec, unusable

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
_LOG_ERRORS = 3


_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
}


class OnnxSession(Session):
    """A model in ONNX Runtime: one input ``[batch, ...]``, one output ``[batch, k]``."""

    def __init__(self, session: Any) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        fits = len(inputs) == 1 and len(outputs) == 1 and len(inputs[0].shape) >= 2 and inputs[0].type in _DTYPES
        if not fits:
            shapes = ", ".join(f"{value.name} {value.type}{value.shape}" for value in [*inputs, *outputs])
            raise unusable(
                f"The model has other inputs and outputs than one tensor [batch, ...] and one output: {shapes}.",
                hint="Export it with omniforge.deploy.export_onnx.",
            )
        first, *rest = (size if isinstance(size, int) else None for size in inputs[0].shape)
        self.input = TensorSpec(tuple(rest), _DTYPES[inputs[0].type], first)
        self._run = session.run
        self._input = inputs[0].name
        self._outputs = [outputs[0].name]

    def run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: D102  # the contract says it
        try:
            result: np.ndarray[Any, Any] = self._run(self._outputs, {self._input: batch})[0]
        except _FAILURES as e:
            raise unusable(f"ONNX Runtime cannot run a batch of shape {list(batch.shape)}: {_first_line(e)}") from e
        return result

    def close(self) -> None:
        """Drop the model; ONNX Runtime frees it at once."""
        self._run = _closed


class OnnxRuntime(Runtime):
    """ONNX Runtime with its processor provider and all graph optimizations."""

    name = "onnxruntime"

    def prepare(self, model: Path | str | bytes, *, device: Device, options: RuntimeOptions) -> OnnxSession:
        """Load a model; ``options.extra`` are entries of ONNX Runtime's session configuration."""
        if device.kind != "cpu":
            raise unusable(f"The runtime 'onnxruntime' serves devices of kind 'cpu', not {device.kind!r}.")
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.log_severity_level = _LOG_ERRORS
        for key, value in options.extra.items():
            settings.add_session_config_entry(key, str(value))
        source = model if isinstance(model, bytes) else str(model)
        try:
            return OnnxSession(onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"]))
        except _FAILURES as e:
            shown = "The model" if isinstance(model, bytes) else f"The model {model}"
            raise unusable(f"{shown} cannot be loaded by ONNX Runtime: {_first_line(e)}") from e

    def versions(self) -> dict[str, str]:
        """Return ONNX Runtime's version."""
        return {"onnxruntime": str(onnxruntime.__version__)}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _closed(*_: object) -> Any:
    raise unusable("The session is closed.")
