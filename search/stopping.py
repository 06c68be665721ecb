"""When a running task is not worth going on with. Pure: curves in, a decision out."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SpecError

Curve = Sequence[tuple[int, float]]
"""Values of one task by step, in order of steps."""


@dataclass(frozen=True)
class MedianStopping:
    """The median stopping rule of Google Vizier (Golovin et al., KDD 2017, section 3.2.1).

    A task stops at step ``s`` when its best value so far is strictly worse than the median of the running averages, up to
    ``s``, of the tasks that got at least as far.

    Args:
        warmup_steps: Steps before which nothing stops, at least 0.
        min_curves: Curves that must have reached the step, at least 1.

    Raises:
        SpecError: One of them is smaller.
    """

    warmup_steps: int = 1
    min_curves: int = 5

    def __post_init__(self) -> None:
        if self.warmup_steps < 0:
            raise SpecError(f"warmup_steps is {self.warmup_steps}, expected at least 0.")
        if self.min_curves < 1:
            raise SpecError(f"min_curves is {self.min_curves}, expected at least 1.")

    def should_stop(self, step: int, value: float, curves: Iterable[Curve], goal: Literal["max", "min"]) -> bool:
        """Say whether a task should stop.

        Args:
            step: Where it is.
            value: Its best value up to ``step``; NaN counts as the worst there is.
            curves: The curves of the other tasks, best those that succeeded; shorter ones than ``step`` are left out.
            goal: Whether larger (``max``) or smaller (``min``) is better.
        """
        if step < self.warmup_steps:
            return False
        averages = [statistics.fmean(seen) for seen in (_seen(curve, step) for curve in curves) if seen]
        if len(averages) < self.min_curves:
            return False
        if value != value:
            return True
        median = statistics.median(averages)
        return value < median if goal == "max" else value > median


@dataclass(frozen=True)
class LearningCurveStopping:
    """Stop what will hardly beat the best: predictive termination (Domhan, Springenberg and Hutter, IJCAI 2015, section 4).

    A task stops when the probability that its value at the last step is better than the best of the other tasks there is below
    ``threshold``, by the forecast of its own curve (`learning_curve.forecast`).

    Args:
        threshold: From 0 to 0.5.
        min_points: Points of the own curve before anything stops, at least 3.
        min_curves: Other curves that must have reached the last step, at least 1.

    Raises:
        SpecError: One of them is out of range.
    """

    threshold: float = 0.05
    min_points: int = 4
    min_curves: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 0.5:
            raise SpecError(f"threshold is {self.threshold}, expected a number from 0 to 0.5.")
        if self.min_points < 3:
            raise SpecError(f"min_points is {self.min_points}, expected at least 3.")
        if self.min_curves < 1:
            raise SpecError(f"min_curves is {self.min_curves}, expected at least 1.")

    def should_stop(self, own: Curve, curves: Iterable[Curve], goal: Literal["max", "min"], *, last: float) -> bool:
        """Say whether a task should stop.

        Args:
            own: Its curve so far; a value that is NaN or infinite stops it once it may be stopped.
            curves: The curves of the other tasks; those that did not get to the last step are left out.
            goal: Whether larger (``max``) or smaller (``min``) is better.
            last: The step at which it will end.
        """
        from .learning_curve import forecast

        sign = 1.0 if goal == "max" else -1.0
        ends = [sign * seen[-1] for seen in (_seen(curve, last) for curve in curves) if seen]
        if len(own) < self.min_points or len(ends) < self.min_curves or own[-1][0] >= last:
            return False
        steps, values = zip(*own, strict=True)
        if not all(abs(value) < float("inf") for value in values):
            return True
        predicted = forecast([max(step, 1) for step in steps], [sign * value for value in values], at=last)
        return predicted.above(max(ends)) < self.threshold


def _seen(curve: Curve, step: float) -> list[float]:
    """Return the finite values up to ``step`` of a curve that got that far, else nothing."""
    if not curve or curve[-1][0] < step:
        return []
    return [value for at, value in curve if at <= step and abs(value) < float("inf")]
