"""The provisioned image family: convolutional networks and small transformers behind one tree of a search space."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cnn import CNN as CNN
    from .family import ImageEstimator as ImageEstimator
    from .network import build_network as build_network
    from .training import Training as Training
    from .training import fit as fit
    from .transformer import VisionTransformer as VisionTransformer

_LAZY = {
    "CNN": ".cnn",
    "ImageEstimator": ".family",
    "Training": ".training",
    "VisionTransformer": ".transformer",
    "build_network": ".network",
    "fit": ".training",
}

__all__ = ["CNN", "ImageEstimator", "Training", "VisionTransformer", "build_network", "fit"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
