from __future__ import annotations

from collections.abc import Callable

from omniforge.search.fidelity.curves import Curves

Make = Callable[..., Curves]


def test_results_of_one_configuration_are_its_curve(make_curves: Make) -> None:
    curves = make_curves({0.5: {1: 0.1, 3: 0.2}, 0.7: {1: 0.3}})
    first, second = curves
    assert (first.config, first.reached, first.claimed, first.began) == ({"x": 0.5}, 3, 3, 1)
    assert curves.Y[first.results[3], 0] == 0.2
    assert second.results.keys() == {1}
    assert len(curves) == 2


def test_what_is_waited_for_is_claimed_and_cannot_be_continued(make_curves: Make) -> None:
    curves = make_curves({0.5: {1: 0.1}, 0.7: {1: 0.3}}, [(0.5, 3), (0.9, 1), (0.7, 1)])
    assert [(c.reached, c.claimed, c.waiting) for c in curves] == [(1, 3, {3}), (1, 1, set()), (0, 1, {1})]
    assert [curve.config["x"] for curve in curves.unfinished()] == [0.7]
    assert curves.has({"x": 0.9})
    assert not curves.has({"x": 0.91})


def test_what_failed_or_is_in_full_cannot_be_continued(make_curves: Make) -> None:
    curves = make_curves({0.1: {1: None}, 0.2: {1: 0.1, 9: 0.2}, 0.3: {1: 0.5}})
    assert [curve.config["x"] for curve in curves.unfinished()] == [0.3]
    assert [curve.failed for curve in curves] == [True, False, False]
