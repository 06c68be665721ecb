"""JSON values on their way into the database: strict (no NaN), compact, numpy scalars accepted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import SpecError


def dumps(value: object) -> str:
    """Encode ``value`` compactly; the engine calls it for every JSON column.

    Raises:
        ValueError: A number is not finite.
        TypeError: A value has no JSON form.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_unboxed)


def require_json(value: object, *, what: str) -> None:
    """Check that ``value`` can be stored, before a transaction begins.

    Raises:
        SpecError: It has a number that is not finite or an object without a JSON form; names ``what``.
    """
    try:
        dumps(value)
    except (TypeError, ValueError) as e:
        raise SpecError(f"{what} = {_short(value)} is not JSON: {e}.") from e


def finite_rewards(rewards: Mapping[str, float] | None, *, task_id: int) -> dict[str, float]:
    """Return rewards as plain floats.

    Raises:
        SpecError: A reward is not a finite number.
    """
    plain: dict[str, float] = {}
    for metric, value in (rewards or {}).items():
        try:
            number = float(value)
        except (TypeError, ValueError) as e:
            raise SpecError(f"Reward {metric!r} of task {task_id} is {value!r}; expected a number.") from e
        if not math.isfinite(number):
            raise SpecError(
                f"Reward {metric!r} of task {task_id} is {number}; expected a finite number.",
                hint="Report the task as failed, with the cause, when its measurement diverged.",
            )
        plain[metric] = number
    return plain


def with_nulls(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return a curve's point with null in place of what is not finite: a diverging loss is worth keeping."""
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def without_nulls(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Undo :func:`with_nulls`; what was not finite comes back as NaN."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _unboxed(value: Any) -> object:
    """Return the Python value of a numpy scalar, which has ``item()`` and is not JSON by itself."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
