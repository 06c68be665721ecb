"""All configurations of a space without continuous parameters, in the order of the values. Not how many there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import counting
from .conditions import Clause
from .document import fail
from .values import Config

if TYPE_CHECKING:
    from .counting import State, ValueClass
    from .space import SearchSpace
    from .tree import Parameter

LISTED = 20_000
"""Spaces of at most so many configurations are looked at as a whole where that helps."""


def configurations(space: SearchSpace) -> Iterator[Config]:
    """Return an iterator over every configuration that no rule forbids; see `SearchSpace.configurations`."""
    for parameter in space.parameters.values():
        if parameter.domain.size() == math.inf:
            problem = "is continuous, so that the configurations cannot be listed."
            raise fail(None, parameter.path, problem=problem, hint="Give it a step, or sample instead.")
    return _every(space) if not space.rules else _allowed(space)


def _every(space: SearchSpace, closing: Mapping[int, Sequence[Clause]] | None = None) -> Iterator[Config]:
    """Yield all configurations; what breaks a rule is left where its last value is chosen."""
    order = tuple(space.parameters.values())
    stack: list[tuple[int, Config]] = [(0, {})]
    while stack:
        position, config = stack.pop()
        while position < len(order) and not order[position].active(config):
            position += 1
        if position == len(order):
            yield config
            continue
        path = order[position].path
        rules = closing.get(position, ()) if closing else ()
        for value in reversed(list(order[position].domain.every())):
            other = config | {path: value}
            if not any(all(test.holds(other) for test in rule) for rule in rules):
                stack.append((position + 1, other))


def _allowed(space: SearchSpace) -> Iterator[Config]:
    """Yield all configurations without entering a branch that the rules leave nothing of, as far as counting reaches."""
    classes = counting.classes_of(space)
    layers: list[Mapping[State, Sequence[tuple[int, State]]]] = []
    for layer in counting.transitions(space, classes):
        if layer is None:
            yield from _every(space, counting.closing(space))
            return
        layers.append(layer)
    alive: set[State] = {()}
    steps: list[dict[State, dict[int, State]]] = []
    for above in reversed(layers):
        kept = {state: {k: after for k, after in found if after in alive} for state, found in above.items()}
        steps.append({state: found for state, found in kept.items() if found})
        alive = set(steps[-1])
    steps.reverse()
    readers = counting.readers_of(space)
    values = [_classed(p, readers.get(p.path), classes[p.path]) for p in space.parameters.values()]
    yield from _follow(tuple(space.parameters), values, steps)


def _classed(
    parameter: Parameter, readers: counting.Readers | None, classes: Sequence[ValueClass]
) -> list[tuple[Any, int]]:
    """Return the values of a parameter, each with the position of its class."""
    if readers is None:
        return [(value, 0) for value in parameter.domain.every()]
    predicates = readers.predicates()
    place = {tuple(bool(holds(value)) for holds in predicates): k for k, (value, _) in enumerate(classes)}
    return [(value, place[tuple(bool(holds(value)) for holds in predicates)]) for value in parameter.domain.every()]


def _follow(
    paths: Sequence[str],
    values: Sequence[Sequence[tuple[Any, int]]],
    steps: Sequence[Mapping[State, Mapping[int, State]]],
) -> Iterator[Config]:
    stack: list[tuple[int, State, Config]] = [(0, (), {})]
    while stack:
        position, state, config = stack.pop()
        if position == len(paths):
            yield config
            continue
        found = steps[position].get(state, {})
        if -1 in found:
            stack.append((position + 1, found[-1], config))
            continue
        stack.extend(
            (position + 1, found[k], config | {paths[position]: value})
            for value, k in reversed(values[position])
            if k in found
        )
