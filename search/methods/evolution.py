"""Regularized evolution (Real et al., AAAI 2019, algorithm 1), for several objectives by rank and crowding (NSGA-II)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ...errors import SpecError
from ..pareto import fitness_order
from ..space import Config
from ..strategy import check_integer
from .designed import DesignedStrategy
from .proposing import Ask

_CHILDREN = 8
_TRIES = 16


class EvolutionStrategy(DesignedStrategy):
    """Mutate the best of a random sample of the youngest configurations.

    The population is the last ``population_size`` observations: the oldest dies, whatever its worth. Failed candidates are
    members that lose every tournament. A child differs from its parent in one parameter (`SearchSpace.neighbors`). The first
    generation is a Sobol design.

    Args:
        population_size: At least 2.
        tournament_size: How many of them compete to be the parent, from 1 to ``population_size``.

    Raises:
        SpecError: A size is out of range.
    """

    name: ClassVar[str] = "evolution"

    def __init__(self, population_size: int = 24, tournament_size: int = 6) -> None:
        super().__init__()
        self._population_size = check_integer(population_size, "population_size", low=2)
        self._tournament_size = check_integer(tournament_size, "tournament_size", low=1)
        if tournament_size > population_size:
            raise SpecError(
                f"tournament_size is {tournament_size}, expected at most population_size, {population_size}."
            )

    def _propose(self, ask: Ask) -> Iterator[Config]:
        first = self._population_size - len(self.history) - len(ask.pending)
        for _ in range(max(0, min(first, ask.count))):
            yield self._point()
        parents = self._ranked_population()
        for _ in range(_TRIES * ask.count if parents else 0):
            size = min(self._tournament_size, len(parents))
            winner = int(ask.rng.choice(len(parents), size=size, replace=False).min())
            yield from self._children(parents[winner], ask)

    def _children(self, parent: Config, ask: Ask) -> Iterator[Config]:
        """Yield the first mutation that is new, if there is one among a few."""
        space = self.history.space
        for child in space.neighbors(parent, ask.rng, count=_CHILDREN):
            if space.config_hash(child) not in ask.taken:
                yield child
                return

    def _ranked_population(self) -> list[Config]:
        """Return the living configurations from the best to the worst; none while nothing succeeded."""
        Y = self.history.targets()[-self._population_size :]
        if np.isnan(Y).all():
            return []
        configs = self.history.configs[-self._population_size :]
        return [configs[i] for i in fitness_order(Y, self.history.objectives)]
