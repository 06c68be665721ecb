from __future__ import annotations

import math

import numpy as np
import pytest

from omniforge.search.learning_curve import forecast


def exponential(t: float) -> float:
    return 0.9 - 0.5 * math.exp(-t / 12)


def power(t: float) -> float:
    return 0.8 - 0.4 * t**-0.7


@pytest.mark.parametrize("curve", [exponential, power, lambda t: 0.3 + 0.1 * math.log(t)])
@pytest.mark.parametrize("seen", [20, 35])
def test_known_curves_are_continued(curve: object, seen: int) -> None:
    assert callable(curve)
    steps = list(range(1, seen + 1))
    found = forecast(steps, [curve(t) for t in steps], at=50)
    assert found.mean == pytest.approx(curve(50), abs=0.05)
    assert found.above(curve(50) - 0.1) > 0.9
    assert found.above(curve(50) + 0.1) < 0.1


def test_more_points_make_it_surer() -> None:
    rng = np.random.default_rng(0)
    values = [exponential(t) + 0.01 * rng.standard_normal() for t in range(1, 41)]

    def doubt(n: int) -> float:
        found = forecast(range(1, n + 1), values[:n], at=50)
        return found.above(found.mean - 0.05) - found.above(found.mean + 0.05)

    assert doubt(5) < doubt(15) < doubt(40)


def test_probabilities_fall_with_the_value_and_lie_between_0_and_1() -> None:
    found = forecast([1, 2, 3, 4], [0.1, 0.3, 0.4, 0.45], at=20)
    assert found.weights.sum() == pytest.approx(1.0)
    levels = [found.above(level) for level in (-5.0, 0.0, 0.45, 0.6, 5.0)]
    assert levels == sorted(levels, reverse=True)
    assert 0.0 <= levels[-1] < 0.1 < 0.9 < levels[0] <= 1.0


def test_a_flat_curve_stays_where_it_is() -> None:
    found = forecast([1, 2, 3, 4, 5], [0.7] * 5, at=50)
    assert found.mean == pytest.approx(0.7, abs=1e-3)
    assert found.above(0.75) < 0.02


@pytest.mark.parametrize(("steps", "values"), [([1], [0.5]), ([], []), ([1, 2, 3], [0.5, 0.6])])
def test_two_points_are_needed(steps: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two points"):
        forecast(steps, values, at=9)
