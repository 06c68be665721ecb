from __future__ import annotations

import numpy as np

from omniforge.search import Objective
from omniforge.search.bo.warp import Compression, warp


def test_targets_are_standardized_and_keep_their_order() -> None:
    y = np.array([0.5, 0.9, 0.1, 0.95, -1000.0])
    out = Compression.fit(y)(y)
    assert np.argsort(out).tolist() == np.argsort(y).tolist()
    np.testing.assert_allclose([out.mean(), out.std()], [0.0, 1.0], atol=1e-12)
    assert out[2] - out[4] < 5 * (out[3] - out[2])


def test_a_failure_is_the_worst_that_was_seen() -> None:
    out, goals = warp(np.array([[1.0], [np.nan], [3.0]]), [Objective("score", "max")])
    assert out[1, 0] == out[:, 0].min() == out[0, 0]
    assert goals.optimized == (0,)
    assert goals.bounds == {}


def test_a_bound_is_in_the_units_of_the_targets() -> None:
    Y = -np.array([[1.0], [2.0], [4.0], [8.0]])
    out, goals = warp(Y, [Objective("latency_ms", "min", bound=3.0)])
    assert out[2, 0] < goals.bounds[0] < out[1, 0]
