"""Measure a model where it will run: export (ONNX), runtimes, devices, measurement.

What it offers is loaded on first use: neither ONNX Runtime nor scikit-learn nor torch is imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from .metrics import DEPLOYMENT_METRICS

# From 1.29 on, ONNX Runtime reports every session to its maker unless this is set before it is imported; its uploader is
# also a thread that no fork survives: a forked process would hang when it ends.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from .devices import DEVICES as DEVICES
    from .devices import Device as Device
    from .devices import find_device as find_device
    from .devices import read_devices as read_devices
    from .export.agreement import Agreement as Agreement
    from .export.agreement import check_agreement as check_agreement
    from .export.deployable import ExportReport as ExportReport
    from .export.deployable import make_deployable as make_deployable
    from .export.onnx_model import OnnxModel as OnnxModel
    from .export.onnx_model import export_onnx as export_onnx
    from .export.quantization import QuantizationReport as QuantizationReport
    from .export.quantization import quantize as quantize
    from .isolated import measure_isolated as measure_isolated
    from .measurement import MeasureOptions as MeasureOptions
    from .measurement import measure as measure
    from .report import DeploymentReport as DeploymentReport
    from .runtimes import RUNTIMES as RUNTIMES
    from .runtimes import Runtime as Runtime
    from .runtimes import RuntimeOptions as RuntimeOptions
    from .runtimes import Session as Session

# What a warm process imports beforehand so that an export and a measurement cost no imports.
PRELOAD = (
    f"{__name__}.export.sklearn_models",
    f"{__name__}.export.forests",
    f"{__name__}.export.neighbors",
    f"{__name__}.export.lightgbm_models",
    f"{__name__}.export.torch_models",
    f"{__name__}.runtimes.onnx_runtime",
    f"{__name__}.measurement",
    "skl2onnx",
)

_LAZY = {
    "Agreement": ".export.agreement",
    "DEVICES": ".devices",
    "DeploymentReport": ".report",
    "Device": ".devices",
    "ExportReport": ".export.deployable",
    "MeasureOptions": ".measurement",
    "OnnxModel": ".export.onnx_model",
    "QuantizationReport": ".export.quantization",
    "RUNTIMES": ".runtimes",
    "Runtime": ".runtimes",
    "RuntimeOptions": ".runtimes",
    "Session": ".runtimes",
    "check_agreement": ".export.agreement",
    "export_onnx": ".export.onnx_model",
    "find_device": ".devices",
    "make_deployable": ".export.deployable",
    "measure": ".measurement",
    "measure_isolated": ".isolated",
    "quantize": ".export.quantization",
    "read_devices": ".devices",
}

__all__ = [
    "DEPLOYMENT_METRICS",
    "DEVICES",
    "PRELOAD",
    "RUNTIMES",
    "Agreement",
    "DeploymentReport",
    "Device",
    "ExportReport",
    "MeasureOptions",
    "OnnxModel",
    "QuantizationReport",
    "Runtime",
    "RuntimeOptions",
    "Session",
    "check_agreement",
    "export_onnx",
    "find_device",
    "make_deployable",
    "measure",
    "measure_isolated",
    "quantize",
    "read_devices",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
