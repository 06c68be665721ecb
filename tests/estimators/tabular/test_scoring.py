from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.estimators.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from omniforge.estimators.tabular.scoring import classification_scores, regression_scores


def drawn(seed: int, rows: int, classes: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw labels with every class, and probabilities with many ties."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, size=rows)])
    raw = rng.integers(1, 5, size=(len(y), classes)).astype(np.float64)
    return y, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.oracle
@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(4, 60), classes=st.integers(2, 6))
def test_classification_scores_equal_those_of_scikit_learn(seed: int, rows: int, classes: int) -> None:
    from sklearn import metrics

    y, probabilities = drawn(seed, rows, classes)
    labels = probabilities.argmax(axis=1)
    area = (
        metrics.roc_auc_score(y, probabilities[:, 1])
        if classes == 2
        else metrics.roc_auc_score(y, probabilities, multi_class="ovr", average="macro")
    )
    expected = {
        "accuracy": metrics.accuracy_score(y, labels),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, labels),
        "f1_macro": metrics.f1_score(y, labels, average="macro", zero_division=0),
        "log_loss": metrics.log_loss(y, probabilities, labels=np.arange(classes)),
        "roc_auc": area,
    }
    scores = classification_scores(y, probabilities)
    assert scores == pytest.approx(expected)
    assert set(scores) == set(CLASSIFICATION_METRICS)


@pytest.mark.oracle
def test_regression_scores_equal_those_of_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    y, prediction = rng.normal(size=50), rng.normal(size=(50, 1))
    scores = regression_scores(y, prediction)
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, prediction[:, 0]))
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(y, prediction[:, 0]))
    assert scores["r2"] == pytest.approx(metrics.r2_score(y, prediction[:, 0]))
    assert set(scores) == set(REGRESSION_METRICS)


def test_certain_mistakes_cost_much_but_not_infinitely() -> None:
    scores = classification_scores(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 10 < scores["log_loss"] < 20


def test_classes_without_rows_do_not_count() -> None:
    y = np.array([0, 0, 1, 1])
    scores = classification_scores(y, np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]]))
    assert scores["accuracy"] == scores["balanced_accuracy"] == scores["f1_macro"] == scores["roc_auc"] == 1.0


def test_the_area_is_absent_when_there_is_one_class_only() -> None:
    assert "roc_auc" not in classification_scores(np.array([1, 1]), np.array([[0.4, 0.6], [0.3, 0.7]]))


def test_r2_is_absent_for_a_constant_target() -> None:
    assert regression_scores(np.array([2.0, 2.0]), np.array([[1.0], [3.0]])) == {"rmse": 1.0, "mae": 1.0}
