"""Omniforge: human-centered AutoML for Kubeflow Pipelines and KServe.

Importing this package is light: what it offers is loaded on first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .estimators.sdk import TaskEstimator as TaskEstimator
    from .estimators.sdk import estimator as estimator

__version__ = "0.1.0"

# Nobody's runs are reported anywhere. Set before either library is imported: they read it then, and the thread that
# ONNX Runtime reports from would not survive the forks of the launcher.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

_LAZY = {"estimator": ".estimators.sdk", "TaskEstimator": ".estimators.sdk"}

__all__ = ["TaskEstimator", "__version__", "estimator"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
