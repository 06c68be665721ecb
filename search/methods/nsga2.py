"""NSGA-II (Deb et al., IEEE TEC 2002) in steady state: a child is bred whenever one is asked for, without generations.

Not regularized evolution, whose members die of age (``evolution.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..pareto import FloatArray, crowding_distance, fitness_order, non_dominated_ranks, violation
from ..space import Config
from ..strategy import check_integer, check_number
from .designed import DesignedStrategy
from .proposing import Ask
from .variation import crossover, mutated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..objective import Objective

_TRIES = 24
_NEIGHBORS = 4


class NSGA2Strategy(DesignedStrategy):
    """Breed from the elite: non-dominated sorting, crowding, binary tournaments, crossover and mutation.

    The population is the best ``population_size`` of all that was observed: what breaks a bound loses to what does not
    (constraint domination, section VI), then fronts count, then how alone a member is on its front; members of the last
    front that does not fit go one by one, the most crowded first (Kukkonen and Deb, CEC 2006). Elitism over everything that
    was seen is what generations come down to when children return one by one, so that no worker waits for a generation
    (Durillo et al., EMO 2009). Failed candidates are never parents while others are there. The first members are a Sobol
    design. With one objective it is an elitist genetic algorithm.

    Args:
        population_size: At least 4.
        crossover_probability: How likely a child has two parents, from 0 to 1; else it has one and is mutated only.
        mutations: How many parameters of a child change on average, above 0.

    Raises:
        SpecError: An option is out of range.
    """

    name: ClassVar[str] = "nsga2"

    def __init__(self, population_size: int = 24, crossover_probability: float = 0.9, mutations: float = 1.0) -> None:
        super().__init__()
        self._population_size = check_integer(population_size, "population_size", low=4)
        self._crossover = check_number(crossover_probability, "crossover_probability", low=0.0, high=1.0)
        self._mutations = check_number(mutations, "mutations", low=1e-6, high=1e6)

    def _propose(self, ask: Ask) -> Iterator[Config]:
        first = self._population_size - len(self.history) - len(ask.pending)
        for _ in range(max(0, min(first, ask.count))):
            yield self._point()
        population = self._population()
        for _ in range(_TRIES * ask.count if population else 0):
            yield from self._child(population, ask)

    def _population(self) -> list[Config]:
        """Return the members from the best to the worst; none while nothing succeeded."""
        history = self.history
        Y = history.targets()
        if np.isnan(Y).all():
            return []
        chosen = survivors(Y, history.objectives, limit=self._population_size)
        return [history.observations[i].config for i in chosen]

    def _child(self, population: list[Config], ask: Ask) -> Iterator[Config]:
        """Yield a child; where that one is known already, a new neighbour of it if there is one."""
        space, rng = self.history.space, ask.rng
        parent = population[_tournament(len(population), rng)]
        if rng.random() < self._crossover:
            parent = crossover(space, parent, population[_tournament(len(population), rng)], rng=rng)
        child = mutated(space, parent, rng=rng, expected=self._mutations)
        if space.config_hash(child) not in ask.taken:
            yield child
            return
        for near in space.neighbors(child, rng, count=_NEIGHBORS):
            if space.config_hash(near) not in ask.taken:
                yield near
                return


def survivors(Y: FloatArray, objectives: Sequence[Objective], *, limit: int) -> list[int]:
    """Return the rows that survive, from the best to the worst.

    Args:
        Y: A `n x m` array of values to maximize; rows with NaN survive only where nothing else is there.
        objectives: The `m` objectives; those of weight 0 only bound.
        limit: The most that survive, at least 1.
    """
    optimized = Y[:, [objective.optimized for objective in objectives]]
    broken = violation(Y, objectives)
    known = np.flatnonzero(np.isfinite(broken))
    within, outside = known[broken[known] == 0.0], known[broken[known] > 0.0]
    ranks = non_dominated_ranks(optimized[within])
    chosen: list[int] = []
    for rank in range(int(ranks.max(initial=-1)) + 1):
        front = within[ranks == rank]
        chosen += _spread(front, optimized, count=limit - len(chosen))
        if len(chosen) >= limit:
            break
    rest = outside[np.argsort(broken[outside], kind="stable")]
    chosen += [int(i) for i in rest[: limit - len(chosen)]]
    if not chosen:
        chosen = list(range(min(limit, len(Y))))
    return [chosen[i] for i in fitness_order(Y[chosen], objectives)]


def _spread(front: NDArray[np.int64], optimized: FloatArray, *, count: int) -> list[int]:
    """Return ``count`` rows of one front, or all; the most crowded one is taken out until they fit."""
    kept = [int(i) for i in front]
    while len(kept) > count:
        kept.pop(int(np.argmin(crowding_distance(optimized[kept]))))
    return kept


def _tournament(count: int, rng: np.random.Generator) -> int:
    """Return the better of two ranks that are drawn below ``count``."""
    return int(min(rng.integers(count), rng.integers(count)))
