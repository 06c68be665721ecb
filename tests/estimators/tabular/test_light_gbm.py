from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.estimators.tabular.algorithm import Problem


def test_rounds_are_added_not_started_over(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make("lightgbm", Problem("regression", 0), n_estimators=20)
    assert [made.booster.num_trees() for _ in made.steps(X, y, 50)] == [2, 4, 6, 8, 10]


@pytest.mark.oracle
def test_it_equals_one_call_of_lightgbm(make: Any, numbers: Any) -> None:
    import lightgbm

    X, y = numbers
    made = make("lightgbm", Problem("regression", 0, seed=3), n_estimators=30)
    list(made.steps(X, y, 100))
    reference = lightgbm.LGBMRegressor(n_estimators=30, random_state=3, n_jobs=1, verbosity=-1).fit(X, y)
    np.testing.assert_allclose(made.predict_raw(X)[:, 0], reference.predict(X), rtol=1e-4)


def test_two_classes_have_two_probabilities(make: Any, classes: Any) -> None:
    X, y = classes
    made = make("lightgbm", Problem("classification", 2))
    list(made.steps(X, (y == 1).astype(np.int64), 100))
    raw = made.predict_raw(X)
    assert raw.shape == (150, 2)
    np.testing.assert_allclose(raw.sum(axis=1), 1.0)
    assert np.mean(raw.argmax(axis=1) == (y == 1)) > 0.9


def test_a_table_without_a_useful_split_is_no_failure(make: Any) -> None:
    made = make("lightgbm", Problem("classification", 2))
    assert list(made.steps(np.zeros((20, 2), np.float32), np.tile([0, 1], 10), 100))[-1] == 100
    np.testing.assert_allclose(made.predict_raw(np.zeros((3, 2), np.float32)), 0.5)
