"""From measurements to what a surrogate models: failures imputed, tails compressed, all standardized and to be maximized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..pareto import FloatArray

if TYPE_CHECKING:
    from ..objective import Objective


@dataclass(frozen=True)
class Compression:
    """Leave good values as they are and compress the tail of bad ones, then standardize.

    Where values are good, differences count as measured. Where they are bad (a latency a thousand times the best, an
    accuracy at chance), only that they are: below one scale under the median the distance enters by its logarithm, so that
    an outlier does not bend the model where it matters. The scale is the spread of the better half. It is increasing and
    has a derivative everywhere.

    Args:
        center: The median of what succeeded.
        scale: The root mean square of what lies above it, from it.
        mean: Of the compressed values.
        std: Of the compressed values.
        worst: What NaN stands for: the least of the results.
    """

    center: float
    scale: float
    mean: float
    std: float
    worst: float

    @classmethod
    def fit(cls, y: FloatArray) -> Compression:
        """Learn from `n` values, to be maximized, of which at least one is not NaN."""
        known = y[np.isfinite(y)]
        center = float(np.median(known))
        above = known[known > center] - center
        scale = float(np.sqrt(np.mean(above**2))) if len(above) else float(known.std())
        raw = cls(center, scale if scale > 0 else 1.0, mean=0.0, std=1.0, worst=0.0)
        worst = float(raw(known).min())
        values = np.where(np.isnan(y), worst, raw(y))
        mean, std = float(values.mean()), float(values.std())
        std = std if std > 0 else 1.0
        return cls(raw.center, raw.scale, mean, std, worst=(worst - mean) / std)

    def __call__(self, y: FloatArray) -> FloatArray:
        """Return the warped values; NaN is the worst that was seen."""
        z = (y - self.center) / self.scale
        below = np.minimum(z + 1.0, 0.0)
        out = (np.maximum(z, -1.0) - np.log1p(-below) - self.mean) / self.std
        return np.asarray(np.where(np.isnan(y), self.worst, out), dtype=np.float64)


@dataclass(frozen=True)
class Goals:
    """What the columns of the warped targets stand for.

    Args:
        optimized: The columns to maximize.
        bounds: Column to the least acceptable value.
    """

    optimized: tuple[int, ...]
    bounds: dict[int, float]


def warp(Y: FloatArray, objectives: Sequence[Objective]) -> tuple[FloatArray, Goals]:
    """Return targets for a surrogate, and the goals in their units.

    Args:
        Y: A `n x m` array of values to maximize; a failed or incomplete observation is a row of NaN and becomes the worst
            that was seen in every column. At least one row is complete.
        objectives: The `m` objectives.

    Returns:
        A `n x m` array of mean 0 and variance 1 (or of zeros) without NaN, and the goals.
    """
    out = np.empty_like(Y)
    bounds = {}
    for column, objective in enumerate(objectives):
        transform = Compression.fit(Y[:, column])
        out[:, column] = transform(Y[:, column])
        if objective.bound is not None:
            bounds[column] = float(transform(np.array([objective.sign * objective.bound]))[0])
    optimized = tuple(column for column, objective in enumerate(objectives) if objective.optimized)
    return out, Goals(optimized, bounds)
