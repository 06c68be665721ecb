from __future__ import annotations

import math

import pytest
import torch

from omniforge.search.fidelity.levels import levels
from omniforge.search.fidelity.looks import looks
from omniforge.search.fidelity.model import log_gain
from omniforge.search.fidelity.process import Ladder

LEVELS = levels("epochs", low=1, high=100, ratio=10)


def ladder(told: float, *, mean: float = 0.0, deviation: float = 1.0) -> Ladder:
    """Return one curve of which the first two levels tell a share of the variance at the full one."""
    variance = torch.full((1, 3), deviation**2, dtype=torch.float64)
    covariance = variance * torch.tensor([math.sqrt(told), math.sqrt(told), 1.0], dtype=torch.float64)
    return Ladder(torch.full((1, 3), mean, dtype=torch.float64), variance, covariance)


def test_a_full_training_is_rated_by_its_gain_and_its_cost() -> None:
    values = looks(ladder(0.9), spent=[10], levels=LEVELS, best=0.5, noise=0.0)
    gain = float(log_gain(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 0.5))
    assert float(values[0, 2]) == pytest.approx(gain - math.log(90))


def test_what_was_reached_is_not_looked_at_again() -> None:
    values = looks(ladder(0.9), spent=[10], levels=LEVELS, best=0.5, noise=0.0)
    assert values[0, :2].tolist() == [-math.inf, -math.inf]


def test_a_cheap_look_that_tells_is_worth_most_and_one_that_tells_nothing_least() -> None:
    telling = looks(ladder(0.9), spent=[0], levels=LEVELS, best=1.5, noise=0.0)[0]
    silent = looks(ladder(0.0), spent=[0], levels=LEVELS, best=1.5, noise=0.0)[0]
    assert float(telling[0]) > float(telling[1]) > float(telling[2]) + 1.0
    assert float(silent[0]) < float(silent[2]) + 1e-6
    noisy = looks(ladder(0.9), spent=[0], levels=LEVELS, best=1.5, noise=50.0)[0]
    assert float(noisy[0]) < float(telling[0])


def test_more_is_promised_by_a_higher_mean_and_by_what_is_nearly_done() -> None:
    low = looks(ladder(0.5, mean=0.0), spent=[0], levels=LEVELS, best=1.0, noise=0.0)
    high = looks(ladder(0.5, mean=0.5), spent=[0], levels=LEVELS, best=1.0, noise=0.0)
    near = looks(ladder(0.5, mean=0.0), spent=[10], levels=LEVELS, best=1.0, noise=0.0)
    assert bool((high > low).all())
    assert float(near[0, 2]) > float(low[0, 2])


def test_hopeless_curves_are_still_ordered() -> None:
    values = looks(ladder(0.5, mean=-60.0), spent=[0], levels=LEVELS, best=1.0, noise=0.0)
    assert bool(torch.isfinite(values).all())
