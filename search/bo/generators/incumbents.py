"""The generators around the best observations: ``perturbation`` and ``shrinking``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...strategy import check_integer, check_number
from ..parts import Observed

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ...space import Config
    from ..rows import Rows

_PARENTS = 8
_NARROWEST = 0.02
_LEAST = 1e-6


class Perturbation:
    """Mutations of the best observations, one parameter each, and of those again.

    Args:
        parents: How many of the best observations, at least 1.

    Raises:
        SpecError: ``parents`` is below 1.
    """

    def __init__(self, parents: int = _PARENTS) -> None:
        self._parents = check_integer(parents, "parents", low=1)

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return about ``count`` rows; see `CandidateGenerator.generate`."""
        parents = rows.decode(observed.X[best_rows(observed, self._parents)])
        each = -(-count // (2 * max(1, len(parents))))
        near = [child for parent in parents for child in rows.space.neighbors(parent, rng, count=each)]
        further: list[Config] = []
        for parent in near[: count - len(near)]:
            further += rows.space.neighbors(parent, rng, count=1)
        missing = 0 if near else count
        return rows.encode([*near, *further, *rows.space.sample_many(missing, rng)])


class Shrinking:
    """Draws from a region around the best observations that shrinks while the budget is used, and a few from everywhere.

    Each row starts at one of the best. Its choices are drawn anew with a probability that falls from 1 to ``end`` as the
    budget is used, and its numbers within a box around theirs that shrinks alike, as trust regions do (Eriksson et al.,
    NeurIPS 2019), but on a schedule. Without a budget a half of it counts as used.

    Args:
        end: The width of the region when the budget is used up, as a share of the space, in (0, 1].
        everywhere: The share of draws from the whole space, in [0, 1].

    Raises:
        SpecError: An option is out of range.
    """

    def __init__(self, end: float = 0.1, everywhere: float = 0.1) -> None:
        self._end = check_number(end, "end", low=_LEAST, high=1.0)
        self._everywhere = check_number(everywhere, "everywhere", low=0.0, high=1.0)

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        share = self._end**observed.used
        anywhere = round(self._everywhere * count)
        centers = observed.X[best_rows(observed, _PARENTS)]
        if not len(centers):
            return rows.encode(rows.space.sample_many(count, rng))
        drawn = rows.encode(rows.space.sample_many(count, rng))
        origin = centers[torch.from_numpy(rng.integers(len(centers), size=count - anywhere))]
        fresh = drawn[anywhere:]
        changed = torch.from_numpy(rng.random(origin.shape)) < share
        # what a draw does not have active in common with the origin is imputed by `project`, from the top down
        moved = torch.where(changed & rows.active(fresh), fresh, origin)
        numeric = torch.zeros(rows.d, dtype=torch.bool)
        numeric[rows.numeric] = True
        near = origin + (torch.from_numpy(rng.random(origin.shape)) - 0.5) * max(share, _NARROWEST)
        moved = torch.where(numeric & rows.active(origin), near.clamp(0.0, 1.0), moved)
        moved = torch.where(rows.active(moved), moved, fresh)
        return torch.cat([drawn[:anywhere], rows.encode(rows.decode(moved))])


def best_rows(observed: Observed, count: int) -> Tensor:
    """Return the positions of up to ``count`` good observations: the first fronts of the optimized targets, bounds kept."""
    from botorch.utils.multi_objective.pareto import is_non_dominated

    goals, Y = observed.goals, observed.Y
    short = torch.zeros(len(Y), dtype=Y.dtype)
    for column, bound in goals.bounds.items():
        short += (bound - Y[:, column]).clamp_min(0.0)
    rest = torch.argsort(short, stable=True)
    rest = rest[: max(count, int((short == 0).sum()))]
    values = Y[:, list(goals.optimized)]
    if values.shape[1] == 1:
        return rest[torch.argsort(values[rest, 0], descending=True, stable=True)][:count]
    chosen = torch.arange(0)
    while len(rest) and len(chosen) < count:
        front = is_non_dominated(values[rest])
        chosen, rest = torch.cat([chosen, rest[front]]), rest[~front]
    return chosen[:count]
