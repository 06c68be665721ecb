from __future__ import annotations

from typing import Any

import numpy as np

from omniforge.estimators.tabular.algorithm import Problem


def test_more_neighbors_than_rows_are_all_rows(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make("knn", Problem("regression", 0), n_neighbors=100)
    assert list(made.steps(X[:20], y[:20], 100)) == [10, 33, 100]
    np.testing.assert_allclose(made.predict_raw(X[:3]), y[:20].mean())


def test_the_nearest_row_decides(make: Any, classes: Any) -> None:
    X, y = classes
    made = make("knn", Problem("classification", 3), n_neighbors=1)
    list(made.steps(X, y, 100))
    np.testing.assert_array_equal(made.predict_raw(X).argmax(axis=1), y)


def test_the_distance_can_be_that_of_city_blocks(make: Any, classes: Any) -> None:
    X, y = classes
    made = make("knn", Problem("classification", 3), p=1, weights="distance")
    list(made.steps(X, y, 100))
    assert (made.model.p, made.model.weights) == (1, "distance")
