import numpy as np

from omniforge.search.bo.stagnation import standstill

DESIGN = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_what_comes_after_the_design_counts() -> None:
    assert standstill(np.array(DESIGN)) == 0
    assert standstill(np.array([*DESIGN, 1.0, 2.0])) == 2


def test_a_considerable_improvement_begins_anew() -> None:
    assert standstill(np.array([*DESIGN, 1.0, 9.0, 2.0])) == 1


def test_small_improvements_count_once_they_add_up() -> None:
    assert standstill(np.array([*DESIGN, 7.01])) == 1
    assert standstill(np.array([*DESIGN, *(7.0 + 0.01 * step for step in range(1, 11))])) < 5


def test_what_failed_is_no_progress() -> None:
    assert standstill(np.array([*DESIGN, np.nan, np.nan])) == 2
    assert standstill(np.full(12, np.nan)) == 0
    assert standstill(np.zeros(0)) == 0


def test_the_scale_does_not_matter() -> None:
    y = np.random.default_rng(0).standard_normal(30)
    assert standstill(y) == standstill(1e6 * y - 3.0)
