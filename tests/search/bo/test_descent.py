from __future__ import annotations

import math

import torch
from torch import Tensor

from omniforge.search.bo.descent import descend

LOW, HIGH = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)


def test_it_finds_the_lowest_point_of_the_box() -> None:
    goal = torch.tensor([0.25, 2.0], dtype=torch.float64)

    def bowl(v: Tensor) -> tuple[float, Tensor]:
        return float(((v - goal) ** 2).sum()), 2 * (v - goal)

    found, value = descend(bowl, torch.full((2,), 0.5, dtype=torch.float64), low=LOW, high=HIGH, steps=50)
    torch.testing.assert_close(found, torch.tensor([0.25, 1.0], dtype=torch.float64), atol=1e-6, rtol=0)
    assert abs(value - 1.0) < 1e-6


def test_a_value_that_is_not_finite_does_not_stop_it() -> None:
    def cliff(v: Tensor) -> tuple[float, Tensor]:
        return (math.inf if float(v[0]) > 0.9 else float(v[0])), torch.tensor([1.0, 0.0], dtype=torch.float64)

    found, value = descend(cliff, torch.full((2,), 0.5, dtype=torch.float64), low=LOW, high=HIGH, steps=20)
    assert value <= 0.5
    assert float(found[0]) <= 0.5
