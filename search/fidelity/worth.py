"""One number for what an observation is worth, from several objectives and bounds. For models of one target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..pareto import FloatArray, violation

if TYPE_CHECKING:
    from ..objective import Objective

_AUGMENTED = 0.05


def worth(Y: FloatArray, objectives: Sequence[Objective], rng: np.random.Generator) -> FloatArray:
    """Return `n` values to maximize.

    One objective stands for itself. Several are weighed at random, anew with every call, by the augmented Chebyshev norm of
    ParEGO (Knowles, IEEE TEC 2006, equation 2), each scaled to the range of what succeeded. What breaks a bound is worth less
    than all that keeps them, the less the more it breaks.

    Args:
        Y: A `n x m` array of values to maximize, NaN rows for what failed.
        objectives: The `m` objectives.
        rng: Draws the weights.

    Returns:
        A `n` array, NaN where it failed.
    """
    optimized = [column for column, objective in enumerate(objectives) if objective.optimized]
    chosen = Y[:, optimized]
    if len(optimized) > 1:
        weights = rng.dirichlet(np.ones(len(optimized))) * [objectives[column].weight for column in optimized]
        weighted = _scaled(chosen) * weights
        chosen = (weighted.min(axis=1) + _AUGMENTED * weighted.sum(axis=1))[:, None]
    if all(objective.bound is None for objective in objectives):
        return chosen[:, 0]
    broken = np.where(np.isfinite(Y).all(axis=1), violation(Y, objectives), 0.0)
    return np.asarray(np.where(broken > 0.0, -broken / (1.0 + broken) - 1.0, _scaled(chosen)[:, 0]))


def _scaled(Y: FloatArray) -> FloatArray:
    """Return columns scaled to 0 for the least value and 1 for the greatest; all 0 where they are alike."""
    known = Y[np.isfinite(Y).all(axis=1)]
    if not len(known):
        return Y
    low, high = known.min(axis=0), known.max(axis=0)
    return np.asarray((Y - low) / np.where(high > low, high - low, 1.0))
