"""Algorithms that Omniforge can search: the crowdsourcing SDK, bundles, and the algorithms that come provisioned.

Floor 3: built on the search space and the data front; it knows nothing of stores, launchers or devices. What is here
loads on first use; nothing of it imports torch or scikit-learn before an algorithm that needs them runs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bundle import BUNDLES as BUNDLES
    from .bundle import Bundle as Bundle
    from .bundle import load_bundle as load_bundle
    from .causes import EstimatorError as EstimatorError
    from .causes import cause_of as cause_of
    from .context import Reporter as Reporter
    from .metrics import DEFAULT_METRICS as DEFAULT_METRICS
    from .metrics import METRICS as METRICS
    from .metrics import metrics_of as metrics_of
    from .native import NativeModel as NativeModel
    from .reporting import RecordingReporter as RecordingReporter
    from .reporting import StopTraining as StopTraining
    from .reporting import use_reporter as use_reporter
    from .sdk import TaskEstimator as TaskEstimator
    from .sdk import estimator as estimator
    from .starter.writing import write_starter as write_starter

_LAZY = {
    "BUNDLES": ".bundle",
    "Bundle": ".bundle",
    "DEFAULT_METRICS": ".metrics",
    "EstimatorError": ".causes",
    "METRICS": ".metrics",
    "NativeModel": ".native",
    "RecordingReporter": ".reporting",
    "Reporter": ".context",
    "StopTraining": ".reporting",
    "TaskEstimator": ".sdk",
    "cause_of": ".causes",
    "estimator": ".sdk",
    "load_bundle": ".bundle",
    "metrics_of": ".metrics",
    "use_reporter": ".reporting",
    "write_starter": ".starter.writing",
}

__all__ = [
    "BUNDLES",
    "DEFAULT_METRICS",
    "METRICS",
    "Bundle",
    "EstimatorError",
    "NativeModel",
    "RecordingReporter",
    "Reporter",
    "StopTraining",
    "TaskEstimator",
    "cause_of",
    "estimator",
    "load_bundle",
    "metrics_of",
    "use_reporter",
    "write_starter",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
