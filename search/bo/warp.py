"""From measurements to what a surrogate models: failures imputed, tails compressed, all standardized and to be maximized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from ..pareto import FloatArray

if TYPE_CHECKING:
    from ..objective import Objective


COMPRESSED, RANKS = "compressed", "ranks"
SCALES = (COMPRESSED, RANKS)
"""What targets are learned as: standardized values with a compressed tail, or normal scores of their ranks."""
FIRST = 8
"""How many values a wide compression learns its scale from: the shortest design that a strategy makes by itself."""


@dataclass(frozen=True)
class Compression:
    """Leave good values as they are and compress the tail of bad ones, then standardize.

    Where values are good, differences count as measured. Where they are bad (a latency a thousand times the best, an
    accuracy at chance), only that they are: below one scale under the median the distance enters by its logarithm, so that
    an outlier does not bend the model where it matters. The scale is the spread of the better half. It is increasing and
    has a derivative everywhere.

    Median and scale are those of all values, or of the first ones only. A design spreads the first ones over the space, later
    ones come from where the search has gone. A scale that follows them resolves ever finer differences there, and shrinks until
    no large improvement, in another branch say, looks possible; one that does not keeps its eyes on the whole.

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
    def fit(cls, y: FloatArray, *, first: int | None = None) -> Compression:
        """Learn from values.

        Args:
            y: `n` values in order of arrival, to be maximized, of which at least one is not NaN.
            first: How many of those that succeeded decide on median and scale; None: all.
        """
        known = y[np.isfinite(y)]
        early = known[:first]
        center = float(np.median(early))
        above = early[early > center] - center
        scale = _root_mean_square(above if len(above) else known - known.mean())
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
class Margin:
    """Distances from a bound, compressed on both sides of it: ``sign(z) log(1 + |z|)``, then standardized.

    The bilog of SCBO (Eriksson and Poloczek, AISTATS 2021, section 3): only where a value changes sign does it matter what it
    is, so that the bound is where differences count as measured. The scale is the median distance from it.

    Args:
        bound: The least acceptable value.
        scale: The unit of `z`.
        mean: Of the compressed distances.
        std: Of the compressed distances.
        worst: What NaN stands for: the least of the results.
    """

    bound: float
    scale: float
    mean: float
    std: float
    worst: float

    @classmethod
    def fit(cls, y: FloatArray, *, bound: float) -> Margin:
        """Learn from `n` values, to be maximized, of which at least one is not NaN."""
        known = y[np.isfinite(y)]
        raw = cls(bound, float(np.median(np.abs(known - bound))) or 1.0, mean=0.0, std=1.0, worst=0.0)
        worst = float(raw(known).min())
        values = np.where(np.isnan(y), worst, raw(y))
        mean, std = float(values.mean()), float(values.std()) or 1.0
        return cls(bound, raw.scale, mean, std, worst=(worst - mean) / std)

    def __call__(self, y: FloatArray) -> FloatArray:
        """Return the warped values; NaN is the worst that was seen."""
        z = (y - self.bound) / self.scale
        out = (np.sign(z) * np.log1p(np.abs(z)) - self.mean) / self.std
        return np.asarray(np.where(np.isnan(y), self.worst, out), dtype=np.float64)


def _root_mean_square(x: FloatArray) -> float:
    """Return the root of the mean of the squares of numbers of any size: squares of very large or small ones are no floats."""
    largest = float(np.abs(x).max())
    return largest * float(np.sqrt(np.mean((x / largest) ** 2))) if largest > 0 else 0.0


@dataclass(frozen=True)
class Goals:
    """What the columns of the warped targets stand for.

    Args:
        optimized: The columns to maximize.
        bounds: Column to the least acceptable value.
    """

    optimized: tuple[int, ...]
    bounds: dict[int, float]


@dataclass(frozen=True)
class Ranking:
    """Normal scores: the ``(i - 1/2) / n`` quantile of a normal distribution for the `i`-th of `n` values.

    The best values are spread as far apart as the worst whatever their distances, so that a model does not spend itself on
    the size of what is bad (the Gaussian copula of Salinas et al., ICML 2020). Equal values share their mean rank.

    Args:
        known: The values that succeeded, sorted, `k`-dim.
        missing: How many failed; they share the lowest ranks.
    """

    known: FloatArray
    missing: int

    @classmethod
    def fit(cls, y: FloatArray) -> Ranking:
        """Learn from `n` values, to be maximized, of which at least one is not NaN."""
        return cls(np.sort(y[np.isfinite(y)]), int((~np.isfinite(y)).sum()))

    def __call__(self, y: FloatArray) -> FloatArray:
        """Return the warped values; NaN shares the rank of the worst that was seen when something failed."""
        count = len(self.known) + self.missing
        below = np.searchsorted(self.known, y, side="left") + self.missing
        ranks = (below + np.searchsorted(self.known, y, side="right") + self.missing) / 2.0
        ranks = np.where(np.isnan(y), self.missing / 2.0, ranks)
        return np.asarray(ndtri(np.clip(ranks, 0.5, count - 0.5) / count), dtype=np.float64)


def warp(
    Y: FloatArray, objectives: Sequence[Objective], *, scale: str = COMPRESSED, wide: bool = False
) -> tuple[FloatArray, Goals]:
    """Return targets for a surrogate, and the goals in their units.

    Args:
        Y: A `n x m` array of values to maximize, in order of arrival; a failed or incomplete observation is a row of NaN and
            becomes the worst that was seen in every column. At least one row is complete.
        objectives: The `m` objectives.
        scale: ``"compressed"`` or, for one objective to optimize, ``"ranks"``; a hypervolume needs distances. What only
            bounds is learned as a `Margin` either way.
        wide: Whether a compression of one objective learns its scale from the first values, see `Compression`. The values of
            several do not narrow, since a front is sought.

    Returns:
        A `n x m` array of mean 0 and variance about 1 (or of zeros) without NaN, and the goals.
    """
    out = np.empty_like(Y)
    bounds = {}
    optimized = tuple(column for column, objective in enumerate(objectives) if objective.optimized)
    first = FIRST if wide and len(optimized) == 1 else None
    ranked = scale == RANKS and len(optimized) == 1
    for column, objective in enumerate(objectives):
        transform: Margin | Ranking | Compression
        if not objective.optimized and objective.bound is not None:
            transform = Margin.fit(Y[:, column], bound=objective.sign * objective.bound)
        else:
            transform = Ranking.fit(Y[:, column]) if ranked else Compression.fit(Y[:, column], first=first)
        out[:, column] = transform(Y[:, column])
        if objective.bound is not None:
            bounds[column] = float(transform(np.array([objective.sign * objective.bound]))[0])
    return out, Goals(optimized, bounds)
