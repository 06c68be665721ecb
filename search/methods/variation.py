"""How configurations beget configurations: crossover and mutation on conditional, mixed spaces. Not who is a parent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..space.cell import Cell
from ..space.configure import walk
from ..space.numeric import Numeric
from ..space.permutation import Permutation
from ..space.values import ABSENT, value_key

if TYPE_CHECKING:
    import numpy as np

    from ..space import Config, Parameter, SearchSpace

_SPREAD = 15.0
"""The distribution index of the simulated binary crossover: the larger, the nearer are children to their parents."""


def crossover(
    space: SearchSpace, one: Mapping[str, Any], other: Mapping[str, Any], *, rng: np.random.Generator
) -> Config:
    """Return a child of two configurations, built from the top down so that only what is active is inherited.

    A number that both parents have is drawn around one of theirs by simulated binary crossover on its own scale (Deb and
    Agrawal, Complex Systems 1995), any other value comes from either parent, and so does each edge of a cell. An order
    keeps a stretch of one parent in its place and fills the rest in the order of the other (Davis, IJCAI 1985). What one parent
    has comes from that one, what none has from the prior. A forbidden child is repaired (`SearchSpace.repair`).
    """

    def inherit(parameter: Parameter) -> Any:
        first, second = one.get(parameter.path, ABSENT), other.get(parameter.path, ABSENT)
        if first is ABSENT and second is ABSENT:
            return parameter.domain.sample(rng)
        if first is ABSENT or second is ABSENT:
            return second if first is ABSENT else first
        return _mixed(parameter, first, second, rng)

    return space.repair(walk(space, inherit))


def mutated(
    space: SearchSpace, config: Mapping[str, Any], *, rng: np.random.Generator, expected: float = 1.0
) -> Config:
    """Return ``config`` with about ``expected`` of its active parameters moved (`Domain.mutate`), each edge counted.

    Parameters that become active are drawn from their priors. A forbidden result is repaired.

    Args:
        space: The space.
        config: A valid configuration.
        rng: The randomness.
        expected: How many parameters change on average, above 0; each does with the same probability.
    """
    sizes = [_loci(space.parameters[path]) for path in config]
    chance = min(1.0, expected / max(1, sum(sizes)))

    def choose(parameter: Parameter) -> Any:
        value = config.get(parameter.path, ABSENT)
        if value is ABSENT:
            return parameter.domain.sample(rng)
        for _ in range(int(rng.binomial(_loci(parameter), chance)) if _loci(parameter) else 0):
            value = parameter.domain.mutate(value, rng)
        return value

    return space.repair(walk(space, choose))


def _loci(parameter: Parameter) -> int:
    """Return how many values of a parameter can move by themselves: one, none of a constant, the edges of a cell.

    An order of `n` items counts as n - 1.
    """
    if isinstance(parameter.domain, Permutation):
        return len(parameter.domain.items) - 1
    if isinstance(parameter.domain, Cell):
        return len(parameter.domain.edges) if len(parameter.domain.operations) > 1 else 0
    return int(parameter.domain.size() > 1)


def _mixed(parameter: Parameter, first: Any, second: Any, rng: np.random.Generator) -> Any:
    domain = parameter.domain
    if isinstance(domain, Cell):
        from_first = rng.random(len(domain.edges)) < 0.5
        return {edge: (first if keep else second)[edge] for edge, keep in zip(domain.edges, from_first, strict=True)}
    if isinstance(domain, Permutation):
        return _ordered(*((first, second) if rng.random() < 0.5 else (second, first)), rng)
    if isinstance(domain, Numeric) and first != second:
        return domain.from_unit(_simulated_binary(domain.to_unit(first), domain.to_unit(second), rng))
    return first if rng.random() < 0.5 else second


def _ordered(one: Sequence[Any], other: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Return the order crossover: a stretch of ``one`` where it is, the other items as they come in ``other``."""
    start, end = sorted(rng.choice(len(one) + 1, size=2, replace=False).tolist())
    kept = {value_key(item) for item in one[start:end]}
    rest = [item for item in other if value_key(item) not in kept]
    return [*rest[:start], *one[start:end], *rest[start:]]


def _simulated_binary(one: float, other: float, rng: np.random.Generator) -> float:
    """Return one child in [0, 1] of two different points in it, by the bounded form of the crossover."""
    low, high = min(one, other), max(one, other)
    upper = rng.random() < 0.5
    room = (1.0 - high) if upper else low
    beta = 1.0 + 2.0 * room / (high - low)
    mass = 2.0 - beta ** -(_SPREAD + 1.0)
    u = rng.random() * mass
    spread = u ** (1.0 / (_SPREAD + 1.0)) if u <= 1.0 else (1.0 / (2.0 - u)) ** (1.0 / (_SPREAD + 1.0))
    middle, half = (low + high) / 2.0, spread * (high - low) / 2.0
    return math.fsum((middle, half if upper else -half))
