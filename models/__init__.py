"""Model management: a trained model as an asset that predicts alone, and the registry of its versions (MLflow).

What it offers is loaded on first use; MLflow, pandas and ONNX Runtime are imported only by what needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .asset import read_asset as read_asset
    from .asset import write_asset as write_asset
    from .inference import predict as predict
    from .registry import ModelRegistry as ModelRegistry
    from .version import ModelVersion as ModelVersion

_LAZY = {
    "ModelRegistry": ".registry",
    "ModelVersion": ".version",
    "predict": ".inference",
    "read_asset": ".asset",
    "write_asset": ".asset",
}

__all__ = ["ModelRegistry", "ModelVersion", "predict", "read_asset", "write_asset"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
