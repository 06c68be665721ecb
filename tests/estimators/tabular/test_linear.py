from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from omniforge.estimators.tabular.algorithm import Problem


@pytest.mark.oracle
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_ridge_is_said_in_the_unit_of_the_target(make: Any, numbers: Any, strength: float) -> None:
    from sklearn.linear_model import Ridge

    X, y = numbers
    made = make("linear", Problem("regression", 0), regularization=strength)
    list(made.steps(X, y, 100))
    expected = Ridge(alpha=strength).fit(X.astype(np.float64), y)
    np.testing.assert_allclose(made.predict_raw(X)[:, 0], expected.predict(X.astype(np.float64)), rtol=1e-6)


def test_the_elastic_net_drops_columns_that_say_nothing(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make(
        "linear", Problem("regression", 0), regularization=30.0, penalty="elasticnet", penalty__elasticnet__l1_ratio=1.0
    )
    list(made.steps(X, y, 100))
    assert np.count_nonzero(made.model.coef_) < 6
    assert np.all(np.abs(made.model.coef_[:2]) > 10)


def test_a_scale_of_the_target_does_not_change_the_fit(make: Any, numbers: Any) -> None:
    X, y = numbers
    for penalty in ("l2", "elasticnet"):
        small, large = (make("linear", Problem("regression", 0), penalty=penalty, regularization=10.0) for _ in "ab")
        list(small.steps(X, y, 100))
        list(large.steps(X, 1000 * y, 100))
        np.testing.assert_allclose(1000 * small.predict_raw(X), large.predict_raw(X), rtol=1e-6)


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_classes_are_fitted_without_a_warning(make: Any, classes: Any, penalty: str) -> None:
    X, y = classes
    made = make("linear", Problem("classification", 3), penalty=penalty, regularization=0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(made.steps(X, y, 100)) == [10, 33, 100]
    assert np.mean(made.predict_raw(X).argmax(axis=1) == y) > 0.8


def test_a_constant_target_is_predicted(make: Any, numbers: Any) -> None:
    X, _ = numbers
    made = make("linear", Problem("regression", 0))
    list(made.steps(X, np.full(150, 7.0), 100))
    np.testing.assert_allclose(made.predict_raw(X), 7.0)
