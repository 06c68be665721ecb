"""The optimizer ``evolutionary``: a population over configurations, for acquisitions without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ...methods.variation import crossover
from ...strategy import check_integer
from ..parts import AcquisitionFunction
from .settling import Ranked, Settling, evaluate

if TYPE_CHECKING:
    from torch import Tensor

    from ...space import Config
    from ..rows import Rows


class EvolutionaryOptimizer(Settling):
    """A steady population: children of two parents, and mutations of one, replace what is worse (mu + lambda selection).

    Parents win a tournament of two. A child of two takes each active parameter from one of them (`crossover`); a mutation
    differs in one parameter (`SearchSpace.neighbors`). Configurations in the population are all different.

    Args:
        population: At least 2.
        generations: At least 1; the search ends earlier after two without a gain.
        polish_steps: Iterations of L-BFGS on the numbers of the best, at least 0; without effect where there is no gradient.
    """

    def __init__(self, population: int = 48, generations: int = 10, polish_steps: int = 12) -> None:
        super().__init__(tops=3, polish_steps=check_integer(polish_steps, "polish_steps", low=0))
        self._population = check_integer(population, "population", low=2)
        self._generations = check_integer(generations, "generations", low=1)

    def _improved(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, values: Tensor, rng: np.random.Generator
    ) -> Ranked:
        rest, idle = (X[self._population :], values[self._population :]), 0
        X, values = X[: self._population], values[: self._population]
        configs = rows.decode(X)
        keys = {rows.space.config_hash(config) for config in configs}
        for _ in range(self._generations):
            born = self._children(configs, rows, keys, rng=rng)
            if not born or idle == 2:
                break
            found = rows.encode(born)
            gained = evaluate(acquisition, found)
            idle = 0 if gained.max() > values[0] else idle + 1
            joint = torch.cat([values, gained])
            order = torch.argsort(joint, descending=True, stable=True)[: self._population]
            X, values = torch.cat([X, found])[order], joint[order]
            every = configs + born
            configs = [every[i] for i in order.tolist()]
        # configurations that may not be proposed can fill the population: the rest of the candidates stands by
        return torch.cat([X, rest[0]]), torch.cat([values, rest[1]])

    def _children(self, configs: list[Config], rows: Rows, keys: set[str], *, rng: np.random.Generator) -> list[Config]:
        """Return up to half a population of configurations that were not in it before; the best parents come first."""
        out: list[Config] = []
        for _ in range(self._population // 2):
            one, other = (configs[int(rng.integers(len(configs), size=2).min())] for _ in range(2))
            mates = rng.random() < 0.5
            for child in (
                [crossover(rows.space, one, other, rng=rng)] if mates else rows.space.neighbors(one, rng, count=1)
            ):
                key = rows.space.config_hash(child)
                if key not in keys:
                    keys.add(key)
                    out.append(child)
        return out
