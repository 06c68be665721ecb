"""The trust region of a search, as a function of what was observed. Without torch; it does not search.

The rules of TuRBO (Eriksson et al., NeurIPS 2019, section 2 and supplement): a region around the best observation doubles
after several improvements in a row and halves after many observations without one, and where it has become tiny another one is
started somewhere else. The state is replayed from the observations in their order of arrival, so that there is none to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...pareto import FloatArray, fitness_order, violation

if TYPE_CHECKING:
    from ...objective import Objective

FIRST = 0.8
WIDEST = 1.6
NARROWEST = 0.5**7
_IN_A_ROW = 3
_LEAST_GAIN = 1e-3


@dataclass(frozen=True)
class Region:
    """A trust region.

    Args:
        start: The first observation that belongs to it; there may be none yet.
        length: The side of its box, as a share of each range.
    """

    start: int = 0
    length: float = FIRST

    def center(self, Y: FloatArray, objectives: Sequence[Objective]) -> int | None:
        """Return the best observation of the region; None while none succeeded.

        Args:
            Y: The `n x m` array of all observations, to be maximized, NaN rows for failures.
            objectives: The `m` objectives.
        """
        own = Y[self.start :]
        if not np.isfinite(own).all(axis=1).any():
            return None
        return self.start + fitness_order(own, objectives)[0]


def patience(width: int) -> int:
    """Return how many observations without an improvement halve a region where about ``width`` columns are active.

    TuRBO waits for as many as there are columns, with budgets of thousands; the root of it suits budgets of a few times
    the number of columns.
    """
    return math.ceil(math.sqrt(width)) + 5


def replay(Y: FloatArray, objectives: Sequence[Objective], *, initial: int, tolerance: int) -> Region:
    """Return the region after all observations.

    Args:
        Y: A `n x m` array to maximize in order of arrival, NaN rows for failures.
        objectives: The `m` objectives.
        initial: The observations of a region's design, which move nothing.
        tolerance: Observations without an improvement that halve it; see `patience`.
    """
    start, length, gains, losses = 0, FIRST, 0, 0
    broken = violation(Y, objectives)
    for i in range(len(Y)):
        if i - start < initial:
            continue
        if _improves(Y[start:i], Y[i], broken=broken[start : i + 1]):
            gains, losses = gains + 1, 0
        else:
            gains, losses = 0, losses + 1
        if gains == _IN_A_ROW:
            length, gains = min(2.0 * length, WIDEST), 0
        elif losses == tolerance:
            length, losses = 0.5 * length, 0
        if length < NARROWEST:
            start, length, gains, losses = i + 1, FIRST, 0, 0
    return Region(start, length)


def _improves(earlier: FloatArray, y: FloatArray, *, broken: FloatArray) -> bool:
    """Say whether an observation is better than all earlier ones, or one that none of them dominates.

    Args:
        earlier: A `n x m` array.
        y: A `m` array.
        broken: By how much each of them breaks the bounds, and ``y`` last.
    """
    if not np.isfinite(y).all():
        return False
    least = broken[:-1].min(initial=math.inf)
    if broken[-1] != least:
        return bool(broken[-1] < least)
    rivals = earlier[broken[:-1] == least]
    known = earlier[np.isfinite(earlier).all(axis=1)]
    margin = _LEAST_GAIN * known.std(axis=0)
    return not bool((rivals >= y - margin).all(axis=1).any())
