from __future__ import annotations

import pytest

from omniforge.errors import UnknownNameError
from omniforge.estimators import DEFAULT_METRICS, METRICS, metrics_of


def test_every_metric_has_a_goal() -> None:
    assert set(METRICS.values()) == {"max", "min"}
    assert METRICS["roc_auc"] == "max"
    assert METRICS["log_loss"] == "min"


def test_the_default_metric_of_a_task_fits_it() -> None:
    for task, metric in DEFAULT_METRICS.items():
        assert metric in metrics_of(task)
        assert set(metrics_of(task)) <= set(METRICS)


def test_an_unknown_task_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'regresion'") as caught:
        metrics_of("regresion")
    assert "regression" in str(caught.value)
