from __future__ import annotations

import math
from typing import Literal

import pytest

from omniforge.errors import SpecError
from omniforge.search.stopping import LearningCurveStopping, MedianStopping

CURVES = [[(step, float(level) * step) for step in range(1, 11)] for level in range(1, 6)]
"""Five rising curves; their running averages at step 4 are 2.5, 5, 7.5, 10, 12.5."""


@pytest.mark.parametrize(("value", "stops"), [(7.4, True), (7.5, False), (7.6, False), (math.nan, True)])
def test_a_task_below_the_median_of_running_averages_stops(value: float, stops: bool) -> None:
    assert MedianStopping(warmup_steps=1, min_curves=5).should_stop(4, value, CURVES, "max") is stops


@pytest.mark.parametrize(("value", "stops"), [(7.4, False), (7.5, False), (7.6, True), (math.nan, True)])
def test_the_goal_turns_the_comparison(value: float, stops: bool) -> None:
    assert MedianStopping(warmup_steps=1, min_curves=5).should_stop(4, value, CURVES, "min") is stops


@pytest.mark.parametrize("goal", ["max", "min"])
def test_nothing_stops_in_the_warm_up_or_without_enough_curves(goal: Literal["max", "min"]) -> None:
    rule = MedianStopping(warmup_steps=3, min_curves=5)
    assert not rule.should_stop(2, math.nan, CURVES, goal)
    assert not rule.should_stop(4, math.nan, CURVES[:4], goal)
    assert not rule.should_stop(11, math.nan, CURVES, goal)
    assert not rule.should_stop(4, math.nan, [], goal)
    assert rule.should_stop(4, math.nan, CURVES, goal)


def test_values_after_the_step_and_infinite_ones_do_not_count() -> None:
    rule = MedianStopping(warmup_steps=0, min_curves=1)
    curve = [(1, 1.0), (2, math.inf), (3, 3.0), (4, 1000.0)]
    assert rule.should_stop(3, 1.9, [curve], "max")
    assert not rule.should_stop(3, 2.0, [curve], "max")


def test_settings_are_checked() -> None:
    with pytest.raises(SpecError, match="warmup_steps"):
        MedianStopping(warmup_steps=-1)
    with pytest.raises(SpecError, match="min_curves"):
        MedianStopping(min_curves=0)


def rising(level: float, *, upto: int = 20) -> list[tuple[int, float]]:
    return [(step, level * (1 - math.exp(-step / 5))) for step in range(1, upto + 1)]


OTHERS = [rising(0.8 + level / 100) for level in range(6)]


@pytest.mark.parametrize(("level", "stops"), [(0.3, True), (0.6, True), (0.95, False)])
def test_what_will_hardly_beat_the_best_stops(level: float, stops: bool) -> None:
    rule = LearningCurveStopping()
    assert rule.should_stop(rising(level, upto=10), OTHERS, "max", last=20) is stops
    falling = [[(step, -value) for step, value in curve] for curve in (*OTHERS, rising(level, upto=10))]
    assert rule.should_stop(falling[-1], falling[:-1], "min", last=20) is stops


def test_a_forecast_stops_nothing_too_early_nor_at_the_end() -> None:
    rule = LearningCurveStopping()
    assert not rule.should_stop(rising(0.1, upto=3), OTHERS, "max", last=20)
    assert not rule.should_stop(rising(0.1, upto=10), OTHERS[:4], "max", last=20)
    assert not rule.should_stop(rising(0.1, upto=20), OTHERS, "max", last=20)
    assert not rule.should_stop(rising(0.1, upto=10), [curve[:15] for curve in OTHERS], "max", last=20)
    assert rule.should_stop([*rising(0.9, upto=9), (10, math.nan)], OTHERS, "max", last=20)


@pytest.mark.parametrize("wrong", [{"threshold": 0.6}, {"min_points": 2}, {"min_curves": 0}])
def test_settings_of_the_forecast_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        LearningCurveStopping(**wrong)  # type: ignore[arg-type]
