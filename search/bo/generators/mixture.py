"""Where the optimization of an acquisition starts: rows of valid configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .parts import Observed

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..space import Config
    from .rows import Rows

_PARENTS = 8


class Uniform:
    """Draws from the space's priors."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        return rows.encode(rows.space.sample_many(count, rng))


class Mixture:
    """Half draws from the space's priors, half mutations of the best observations: global and local at once."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return about ``count`` rows; see `CandidateGenerator.generate`."""
        parents = rows.decode(observed.X[best_rows(observed, _PARENTS)])
        each = max(1, count // 2 // max(1, len(parents)))
        near: list[Config] = []
        for parent in parents:
            near += rows.space.neighbors(parent, rng, count=each)
        return rows.encode(near + rows.space.sample_many(max(1, count - len(near)), rng))


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
