"""The provisioned tabular family: classification and regression, seven algorithms behind one search space."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .algorithm import ALGORITHMS as ALGORITHMS
    from .family import TabularEstimator as TabularEstimator

_LAZY = {"ALGORITHMS": ".algorithm", "TabularEstimator": ".family"}

__all__ = ["ALGORITHMS", "TabularEstimator"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
