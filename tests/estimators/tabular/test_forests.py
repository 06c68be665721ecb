from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.estimators.tabular.algorithm import Problem


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_trees_are_added_not_started_over(name: str, make: Any, classes: Any) -> None:
    X, y = classes
    made = make(name, Problem("classification", 3), n_estimators=50)
    counts, firsts = [], []
    for _ in made.steps(X, y, 60):
        counts.append(len(made.model.estimators_))
        firsts.append(made.model.estimators_[0])
    assert counts == [5, 10, 15, 20, 25, 30]
    assert all(tree is firsts[0] for tree in firsts)


def test_the_two_forests_differ(make: Any, classes: Any) -> None:
    X, y = classes
    bagged, extra = (make(name, Problem("classification", 3)) for name in ("random_forest", "extra_trees"))
    for made in (bagged, extra):
        list(made.steps(X, y, 20))
    assert bagged.model.bootstrap
    assert not extra.model.bootstrap
    assert not np.array_equal(bagged.predict_raw(X), extra.predict_raw(X))


def test_depth_is_limited(make: Any, classes: Any) -> None:
    X, y = classes
    made = make("random_forest", Problem("classification", 3), max_depth=4)
    list(made.steps(X, y, 10))
    assert max(tree.get_depth() for tree in made.model.estimators_) <= 4
