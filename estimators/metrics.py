"""The metrics that Omniforge knows by name, and which way each is better. Names only: computing them is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import UnknownNameError

CLASSIFICATION_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "max",
        "balanced_accuracy": "max",
        "f1_macro": "max",
        "roc_auc": "max",
        "log_loss": "min",
    }
)

REGRESSION_METRICS: Mapping[str, str] = MappingProxyType({"rmse": "min", "mae": "min", "r2": "max"})

#: Every known metric of a model's quality, with its goal: ``"max"`` or ``"min"``.
METRICS: Mapping[str, str] = MappingProxyType({**CLASSIFICATION_METRICS, **REGRESSION_METRICS})

#: The metric that a task optimizes when nobody asked for one.
DEFAULT_METRICS: Mapping[str, str] = MappingProxyType({"classification": "accuracy", "regression": "rmse"})

_BY_TASK: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"classification": CLASSIFICATION_METRICS, "regression": REGRESSION_METRICS}
)


def metrics_of(task: str) -> Mapping[str, str]:
    """Return the metrics that fit a task, with their goals.

    Raises:
        UnknownNameError: ``task`` is neither ``"classification"`` nor ``"regression"``.
    """
    try:
        return _BY_TASK[task]
    except KeyError:
        raise UnknownNameError("task", task, _BY_TASK) from None
