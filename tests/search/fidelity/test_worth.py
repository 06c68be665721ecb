from __future__ import annotations

import numpy as np

from omniforge.search import Objective
from omniforge.search.fidelity.worth import worth

UP, DOWN = Objective("a", "max"), Objective("b", "min")


def test_one_objective_stands_for_itself() -> None:
    Y = np.array([[1.0], [np.nan], [3.0]])
    np.testing.assert_array_equal(worth(Y, [UP], np.random.default_rng(0)), [1.0, np.nan, 3.0])


def test_several_are_weighed_at_random_and_what_is_dominated_is_never_best() -> None:
    Y = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6], [0.5, 0.5], [np.nan, np.nan]])
    rng = np.random.default_rng(0)
    found = [worth(Y, [UP, DOWN], rng) for _ in range(60)]
    best = {int(np.nanargmax(values)) for values in found}
    assert best == {0, 1, 2}
    assert all(values[2] > values[3] and np.isnan(values[4]) for values in found)


def test_what_breaks_a_bound_is_worth_less_the_more_it_does() -> None:
    bounded = Objective("b", "min", bound=5.0, weight=0.0)
    Y = np.array([[0.1, -4.0], [0.9, -6.0], [0.9, -50.0], [0.3, -1.0], [np.nan, np.nan]])
    values = worth(Y, [UP, bounded], np.random.default_rng(0))
    assert values[3] > values[0] > values[1] > values[2]
    assert np.isnan(values[4])


def test_nothing_that_succeeded_is_worth_nothing() -> None:
    Y = np.full((2, 2), np.nan)
    assert np.isnan(worth(Y, [UP, DOWN], np.random.default_rng(0))).all()
