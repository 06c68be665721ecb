"""What runs an exported model, one contract for all. Implementations are loaded by name, on first use."""

from __future__ import annotations

from ...registry import Registry
from .base import Runtime, RuntimeOptions, Session, TensorSpec

RUNTIMES: Registry[type[Runtime]] = Registry(
    "runtime",
    {
        "onnxruntime": ".onnx_runtime:OnnxRuntime",
        "openvino": ".openvino:OpenVinoRuntime",
        "tensorrt": ".tensorrt:TensorRtRuntime",
        "torch": ".torch_runtime:TorchRuntime",
        "torch-compile": ".torch_runtime:CompiledRuntime",
        "tvm": ".tvm.runtime:TvmRuntime",
    },
    package=__name__,
)

__all__ = ["RUNTIMES", "Runtime", "RuntimeOptions", "Session", "TensorSpec"]
