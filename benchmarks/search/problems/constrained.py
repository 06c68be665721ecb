"""The set ``constrained``: configurations that fail (`failing`), bounds on measurements (`engineering`) and on a latency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective

from . import engineering, failing
from .conditional import Conditional
from .problem import Problem

_SAMPLES = 2000


class Bounded(Conditional):
    """A `Conditional` problem whose latency has to be among the shortest fifth of all.

    Args:
        number: Seeds the problem.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name, self.optimum = f"latency-{number}", None
        configs = self.space.sample_many(_SAMPLES, np.random.default_rng(number))
        bound = float(np.quantile([super(Bounded, self).measure(config)["latency"] for config in configs], 0.2))
        self.objectives = (Objective("score", "max"), Objective("latency", "min", bound=bound, weight=0.0))

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def problems(data: Path | None) -> list[Problem]:  # noqa: ARG001
    """Return the problems; they need no data."""
    return [*failing.problems(), *engineering.problems(), Bounded(0), Bounded(1)]
