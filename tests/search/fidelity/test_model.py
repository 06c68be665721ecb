from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import norm

from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.model import CurveModel, log_gain, select, usable
from omniforge.search.fidelity.staged import Situation

Make = Callable[..., Curves]


def situation(curves: Curves) -> Situation:
    return Situation(curves, lambda config: not curves.has(config), np.random.default_rng(0), exhausted=False)


@pytest.mark.parametrize("z", [-40.0, -8.0, -5.1, -4.9, -1.0, 0.0, 3.0])
def test_the_log_of_the_gain_is_stable(z: float) -> None:
    found = float(log_gain(torch.tensor([2 * z]), torch.tensor([2.0], dtype=torch.float64), 0.0))
    direct = 2.0 * (norm.pdf(z) + z * norm.cdf(z))
    expected = np.log(direct) if z > -6 else norm.logpdf(z) - 2 * np.log(-z) + np.log(2.0)
    assert found == pytest.approx(expected, rel=0.02)


def test_the_last_point_of_each_curve_is_kept_first(make_curves: Make) -> None:
    curves = make_curves({x / 10: {1: 0.1, 3: 0.2} for x in range(1, 6)})
    shown = list(curves)
    assert len(select(shown, curves, limit=99)) == 10
    kept = select(shown, curves, limit=7)
    assert len(kept) == 7
    assert {point.curve for point in kept if point.level == 1} == set(range(5))
    assert [point.observation for point in kept] == sorted(point.observation for point in kept)


def test_the_model_finds_where_full_values_are_high(make_curves: Make) -> None:
    seen = {x / 12: {1: -abs(x / 12 - 0.6) - 0.5} for x in range(13)}
    for x in (0, 5, 10):
        seen[x / 12][9] = -abs(x / 12 - 0.6)
    curves = make_curves(seen, [(0.55, 1)])
    model = CurveModel()
    known = model.know(situation(curves))
    assert len(known.curves) == 14
    best = known.curves[int(known.believed.argmax())]
    assert abs(best.config["x"] - 0.6) < 0.15
    config = model.most_improving(situation(curves))
    assert config is not None
    assert abs(config["x"] - 0.6) < 0.25


def test_hyperparameters_are_kept_from_one_fit_to_the_next(make_curves: Make) -> None:
    seen = {x / 12: {1: x / 12} for x in range(13)}
    model = CurveModel()
    model.know(situation(make_curves(seen)))
    state = model.dump()
    assert state["count"] == 13
    again = CurveModel()
    again.load(state)
    again.know(situation(make_curves({**seen, 0.99: {1: 0.5}})))
    assert again.dump() == state


def test_a_model_takes_two_different_values(make_curves: Make) -> None:
    assert not usable(situation(make_curves({0.1: {1: 0.5}, 0.2: {1: None}, 0.3: {1: 0.5}})))
    assert usable(situation(make_curves({0.1: {1: 0.5}, 0.2: {1: 0.6}})))
