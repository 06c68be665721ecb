from __future__ import annotations

import numpy as np
import pytest

from omniforge.search import Objective
from omniforge.search.bo.warp import Compression, Margin, warp


def test_targets_are_standardized_and_keep_their_order() -> None:
    y = np.array([0.5, 0.9, 0.1, 0.95, -1000.0])
    out = Compression.fit(y)(y)
    assert np.argsort(out).tolist() == np.argsort(y).tolist()
    np.testing.assert_allclose([out.mean(), out.std()], [0.0, 1.0], atol=1e-12)
    assert out[2] - out[4] < 5 * (out[3] - out[2])


def test_a_wide_scale_does_not_shrink_as_the_search_narrows() -> None:
    design = np.linspace(0.1, 0.8, 8)
    y = np.concatenate([design, 0.8 + np.linspace(0.0, 0.01, 60)])
    wide, narrow = Compression.fit(y, first=8), Compression.fit(y)
    assert (wide.center, wide.scale) == pytest.approx((Compression.fit(design).center, Compression.fit(design).scale))
    gain = {fit: fit(np.array([0.9]))[0] - fit(np.array([0.81]))[0] for fit in (wide, narrow)}
    assert gain[wide] < 1.0 < 4.0 < gain[narrow]


def test_the_wide_view_is_for_one_objective() -> None:
    Y = np.random.default_rng(0).normal(size=(30, 2)) * np.linspace(5.0, 0.1, 30)[:, None]
    objectives = [Objective("a", "max"), Objective("b", "max")]
    assert np.array_equal(warp(Y, objectives, wide=True)[0], warp(Y, objectives)[0])
    assert not np.allclose(warp(Y[:, :1], objectives[:1], wide=True)[0], warp(Y[:, :1], objectives[:1])[0])


def test_a_failure_is_the_worst_that_was_seen() -> None:
    out, goals = warp(np.array([[1.0], [np.nan], [3.0]]), [Objective("score", "max")])
    assert out[1, 0] == out[:, 0].min() == out[0, 0]
    assert goals.optimized == (0,)
    assert goals.bounds == {}


def test_a_bound_is_in_the_units_of_the_targets() -> None:
    Y = -np.array([[1.0], [2.0], [4.0], [8.0]])
    out, goals = warp(Y, [Objective("latency_ms", "min", bound=3.0)])
    assert out[2, 0] < goals.bounds[0] < out[1, 0]


def test_what_only_bounds_is_learned_around_its_bound() -> None:
    y = np.array([-1e6, 3.0, 4.9, 5.1, 7.0, 1e6, np.nan])
    out = Margin.fit(y, bound=5.0)(y)
    assert (np.diff(out[:6]) > 0).all()
    assert out[6] == out[0]
    np.testing.assert_allclose([out.mean(), out.std()], [0.0, 1.0], atol=1e-12)
    assert out[3] - out[2] > 1e-3 * (out[5] - out[0])
    assert out[5] - out[3] == pytest.approx(out[2] - out[0])
    objectives = [Objective("score", "max"), Objective("latency_ms", "min", bound=5.0, weight=0.0)]
    Y = np.column_stack([y[:6], -np.array([1.0, 2.0, 4.9, 5.1, 80.0, 1e5])])
    for scale in ("compressed", "ranks"):
        targets, goals = warp(Y, objectives, scale=scale)
        assert targets[3, 1] < goals.bounds[1] < targets[2, 1]
    assert np.isfinite(Margin.fit(np.array([5.0, 5.0]), bound=5.0)(np.array([5.0, 4.0]))).all()


def test_ranks_are_normal_scores_whatever_the_distances() -> None:
    from scipy.special import ndtri

    from omniforge.search.bo.warp import Ranking

    y = np.array([3.0, 1e6, -5.0, 3.0, np.nan])
    out = Ranking.fit(y)(y)
    assert out == pytest.approx(ndtri(np.array([0.6, 0.9, 0.3, 0.6, 0.1])))


def test_ranks_are_for_one_objective_only() -> None:
    Y = np.array([[1.0, 100.0], [2.0, 0.0], [4.0, 1.0]])
    one, _ = warp(Y[:, :1], [Objective("a", "max")], scale="ranks")
    assert one[:, 0] == pytest.approx([-0.967, 0.0, 0.967], abs=1e-3)
    several = [Objective("a", "max"), Objective("b", "max")]
    assert np.array_equal(warp(Y, several, scale="ranks")[0], warp(Y, several)[0])


def test_a_bound_lies_between_the_ranks_of_its_neighbours() -> None:
    Y = np.array([[1.0], [2.0], [4.0], [8.0]])
    targets, goals = warp(Y, [Objective("a", "max", bound=3.0)], scale="ranks")
    assert targets[1, 0] < goals.bounds[0] < targets[2, 0]
