"""What ``calculate_score`` and ``run`` may return, made uniform: a mapping of metric name to a finite float."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

from .causes import EXCEPTION, EstimatorError


def as_scores(result: object, *, metric: str, owner: str, stage: str) -> dict[str, float]:
    """Return the scores by metric name.

    Args:
        result: A number, or a mapping of metric name to number.
        metric: The name of a bare number.
        owner: The class that returned it, for the message.
        stage: The method that returned it, for the message.

    Raises:
        EstimatorError: It is neither, or a value is not a finite number.
    """
    named = result if isinstance(result, Mapping) else {metric: result}
    if not named:
        raise _wrong(f"{owner}.{stage} returned no score", stage=stage)
    scores: dict[str, float] = {}
    for name, value in named.items():
        number = _number(value)
        if number is None or not isinstance(name, str):
            what = f"{value!r} for {name!r}" if isinstance(result, Mapping) else repr(value)
            raise _wrong(f"{owner}.{stage} returned {what}", stage=stage)
        if not math.isfinite(number):
            raise _wrong(f"{owner}.{stage} returned {number} for {name!r}", stage=stage)
        scores[name] = number
    return scores


def _number(value: object) -> float | None:
    """Return the value as a float; ``None`` when it is no number. Numpy and torch scalars are numbers."""
    if isinstance(value, Real):
        return float(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return _number(value.item())
    return None


def _wrong(what: str, *, stage: str) -> EstimatorError:
    return EstimatorError(
        f"{what}; expected a finite number, or a mapping of metric name to finite number.", cause=EXCEPTION, stage=stage
    )
