"""All configurations of a small finite space, in a fixed order. For what is left when drawing finds nothing new."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .space import Config, Parameter
from .space.cell import Cell
from .space.configure import violated
from .space.domain import Categorical
from .space.numeric import Numeric
from .space.permutation import Permutation

if TYPE_CHECKING:
    from .space import SearchSpace


def configurations(space: SearchSpace) -> Iterator[Config]:
    """Yield every configuration of a finite space; isomorphic cells come each.

    Raises:
        ValueError: A parameter is continuous.
    """
    yield from _extend(space, list(space.parameters.values()), 0, config={})


def _extend(space: SearchSpace, parameters: list[Parameter], position: int, *, config: Config) -> Iterator[Config]:
    while position < len(parameters) and not parameters[position].active(config):
        position += 1
    if position == len(parameters):
        if violated(space, config) is None:
            yield dict(config)
        return
    parameter = parameters[position]
    for value in domain_values(parameter):
        yield from _extend(space, parameters, position + 1, config={**config, parameter.path: value})


def domain_values(parameter: Parameter) -> Iterator[Any]:
    """Yield all values of a parameter.

    Raises:
        ValueError: It is continuous.
    """
    domain = parameter.domain
    if isinstance(domain, Categorical):
        yield from (domain.normalize(value) for value in domain.values)
    elif isinstance(domain, Numeric) and domain.count is not None:
        yield from (domain.point(k) for k in range(domain.count))
    elif isinstance(domain, Cell):
        for operations in itertools.product(domain.operations, repeat=len(domain.edges)):
            yield dict(zip(domain.edges, operations, strict=True))
    elif isinstance(domain, Permutation):
        yield from domain.every()
    else:
        raise ValueError(f"{parameter.path} has no finite list of values.")
