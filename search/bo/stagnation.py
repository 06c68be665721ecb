"""How long a search has stood still. Not what is done about it: see the acquisition ``auto``."""

from __future__ import annotations

import numpy as np

from ..pareto import FloatArray
from .warp import FIRST, Compression

CONSIDERABLE = 0.02
"""How much better than the best a value has to be, in the scale of the first values (`Compression`), to count as progress."""


def standstill(y: FloatArray) -> int:
    """Return the number of observations since the last considerable improvement.

    Small improvements count together once they add up; the first values, which belong to a design, do not count.

    Args:
        y: `n` values to be maximized in order of arrival; NaN where something failed or a bound is broken.
    """
    known = np.isfinite(y)
    if not known.any():
        return 0
    step = CONSIDERABLE * Compression.fit(y, first=FIRST).scale
    best, last = -np.inf, FIRST - 1
    for position in np.flatnonzero(known):
        if y[position] > best + step:
            best, last = y[position], max(last, int(position))
    return max(0, len(y) - 1 - last)
