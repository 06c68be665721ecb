"""Neighbours of a configuration: one parameter changed, what it newly activates drawn. Not a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .configure import replace_value, violated
from .hashing import config_hash
from .values import Config

if TYPE_CHECKING:
    import numpy as np

    from .space import SearchSpace

_TRIES = 16


def neighbors(space: SearchSpace, config: Mapping[str, Any], *, rng: np.random.Generator, count: int) -> list[Config]:
    """Draw up to ``count`` different configurations that each differ from ``config`` in one parameter.

    The parameter is uniform among the active ones that have another value. A number moves by a normal step of 0.2 of
    its range, an ordinal mostly by one, a choice to any other value, a cell on one edge; an order has two items
    swapped, one moved or a stretch turned around. Parameters that stay active keep their values; those that become active are
    drawn from their priors. Fewer come back when there are no more.
    """
    seen = {config_hash(space, config)}
    movable = [path for path in config if space.parameters[path].domain.size() > 1]
    out: list[Config] = []
    for _ in range(_TRIES * count if movable else 0):
        if len(out) == count:
            break
        path = movable[int(rng.integers(len(movable)))]
        value = space.parameters[path].domain.mutate(config[path], rng)
        other = replace_value(
            space, config, path=path, value=value, fill=lambda parameter: parameter.domain.sample(rng)
        )
        key = config_hash(space, other)
        if key not in seen and violated(space, other) is None:
            seen.add(key)
            out.append(other)
    return out
