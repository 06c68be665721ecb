from __future__ import annotations

import numpy as np

from omniforge.search import Objective
from omniforge.search.bo.regional.region import FIRST, NARROWEST, WIDEST, Region, patience, replay

ACCURACY = Objective("accuracy", "max")
BOTH = [ACCURACY, Objective("latency", "min", bound=2.0)]


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_it_grows_after_three_gains_in_a_row() -> None:
    Y = column(0.0, 1.0, 2.0, 3.0, 4.0)
    assert replay(Y, [ACCURACY], initial=2, tolerance=4) == Region(0, WIDEST)
    assert replay(Y[:4], [ACCURACY], initial=2, tolerance=4) == Region(0, FIRST)


def test_it_shrinks_when_nothing_is_better_and_a_failure_is_no_gain() -> None:
    Y = column(0.0, 1.0, 0.5, float("nan"), 1.0, 0.2)
    assert replay(Y, [ACCURACY], initial=2, tolerance=4) == Region(0, FIRST / 2)
    assert replay(Y[:5], [ACCURACY], initial=2, tolerance=4) == Region(0, FIRST)


def test_a_tiny_region_gives_way_to_a_new_one() -> None:
    halvings = int(np.ceil(np.log2(FIRST / NARROWEST)))
    Y = column(*[1.0] * (2 + 3 * halvings + 3))
    assert replay(Y, [ACCURACY], initial=2, tolerance=3) == Region(2 + 3 * halvings, FIRST)
    assert replay(Y[:-4], [ACCURACY], initial=2, tolerance=3).start == 0


def test_a_tiny_gain_is_none() -> None:
    Y = column(0.0, 10.0, 10.001, 10.002, 10.003)
    assert replay(Y, [ACCURACY], initial=2, tolerance=3) == Region(0, FIRST / 2)


def test_with_several_objectives_a_gain_is_what_nothing_dominates() -> None:
    Y = np.array([[1.0, -1.0], [2.0, -1.5], [3.0, -1.8], [2.5, -1.6], [3.1, -1.9], [3.0, -1.95]])
    assert replay(Y[:5], BOTH, initial=2, tolerance=3) == Region(0, WIDEST)
    outside = np.array([[1.0, -5.0], [2.0, -4.0], [0.5, -3.0], [0.4, -2.5], [0.3, -1.9]])
    assert replay(outside, BOTH, initial=2, tolerance=3) == Region(0, WIDEST)
    assert Region(1).center(outside, BOTH) == 4


def test_its_center_is_the_best_of_its_own() -> None:
    Y = column(9.0, 1.0, 3.0, float("nan"))
    assert Region(1).center(Y, [ACCURACY]) == 2
    assert Region(3).center(Y, [ACCURACY]) is None
    assert Region(4).center(Y, [ACCURACY]) is None


def test_many_columns_need_more_patience() -> None:
    assert patience(1) < patience(20) < patience(100) < 20
