"""Percentiles with confidence intervals that hold for any distribution: order statistics, nothing fitted.

The number of samples below the ``q``-quantile is Binomial(n, q), so two of the ordered samples enclose it with a known
probability (H. A. David, H. N. Nagaraja, "Order Statistics", 3rd edition, 2003, section 7.1). Samples are taken as
independent; those of a machine that drifts are not, which is why latencies are also taken as ratios to a reference.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CONFIDENCE = 0.95
_EXACT = 2000  # above, the normal approximation is less than one rank off
_NORMAL = 1.959964


def quantile_interval(ordered: Array, q: float) -> tuple[float | None, float | None]:
    """Return the 95 % confidence interval of a quantile.

    Args:
        ordered: The samples in ascending order, ``n`` with ``n`` at least 1.
        q: The quantile, above 0 and below 1.

    Returns:
        The ends; ``None`` for one that so few samples cannot give (a 99th percentile's upper end needs 368).
    """
    low, high = _ranks(len(ordered), q)
    return (
        None if low is None else float(ordered[low]),
        None if high is None else float(ordered[high]),
    )


@lru_cache(maxsize=512)
def _ranks(count: int, q: float) -> tuple[int | None, int | None]:
    """Return the indices of the ordered samples that enclose the quantile, each missing it in 2.5 % of cases at most."""
    if count > _EXACT:
        reach = _NORMAL * math.sqrt(count * q * (1 - q))
        low, high = math.floor(count * q - reach) - 1, math.ceil(count * q + reach)
        return max(low, 0), high if high < count else None
    import numpy as np

    each = np.arange(count + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    chances = np.exp(logs[count] - logs - logs[::-1] + each * math.log(q) + (count - each) * math.log1p(-q))
    below = np.cumsum(chances)  # of at most k samples below the quantile
    missed = (1 - CONFIDENCE) / 2
    lows = int(np.searchsorted(below, missed, side="right"))  # the first k with P(at most k) above what may be missed
    highs = int(np.searchsorted(below, 1 - missed, side="left"))
    # sample k (from 0) is above the quantile when at most k samples are below it
    return (lows - 1 if lows else None), (highs if highs < count else None)
