"""How many configurations a space has, and whether its rules leave any.

Parameters are taken in order; what is carried along is, for the parameters that a later condition or rule still reads,
only which class of values they are in (values that no reader tells apart are one class). A tree therefore costs little
however many configurations it has; only rules and conditions that entangle many distant parameters make it grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .conditions import Clause, Test, describe_rule
from .document import fail
from .domain import Categorical, Domain
from .numeric import Numeric
from .tree import Parameter
from .values import ABSENT, same

if TYPE_CHECKING:
    from .space import SearchSpace

MAX_STATES = 20_000
_LISTED = 2_000

Predicate = Callable[[Any], bool]
ValueClass = tuple[Any, int]
"""A representative and how many values it stands for (1 for an interval of a continuous range)."""

State = tuple[tuple[str, int], ...]
"""The classes of the active parameters that later ones still read, as pairs of a path and a position."""


def count(space: SearchSpace) -> int | float:
    """Count the configurations; ``inf`` when continuous, or when more than 20,000 states would be carried along."""
    if any(parameter.domain.size() == math.inf for parameter in space.parameters.values()):
        return math.inf
    total = _total(space)
    return math.inf if total is None else total


def check_feasible(space: SearchSpace) -> None:
    """Check that the rules leave something, as far as counting reaches.

    Raises:
        SpaceError: Every configuration breaks a rule.
    """
    if _total(space) == 0:
        rules = "; ".join(describe_rule(rule) for rule in space.rules[:5])
        problem = f"the rules leave nothing: every configuration breaks one of {rules}."
        raise fail(space.rules[0][0].line, "forbid", problem=problem, hint="Remove a rule or widen a range.")


def _total(space: SearchSpace) -> int | None:
    """Return the number of (classes of) configurations that no rule forbids, None when out of reach."""
    classes = classes_of(space)
    ways: dict[State, int] = {(): 1}
    for found, layer in zip(classes.values(), transitions(space, classes), strict=False):
        if layer is None:
            return None
        following: dict[State, int] = {}
        for state, steps in layer.items():
            for k, kept in steps:
                following[kept] = following.get(kept, 0) + ways[state] * (1 if k < 0 else found[k][1])
        ways = following
    return sum(ways.values())


def classes_of(space: SearchSpace) -> dict[str, list[ValueClass]]:
    """Return the classes of values of each parameter that conditions and rules tell apart, by path."""
    readers = readers_of(space)
    return {path: _classes(parameter.domain, readers.get(path)) for path, parameter in space.parameters.items()}


def closing(space: SearchSpace) -> dict[int, list[Clause]]:
    """Return the rules by the position of the last parameter that they read."""
    place = {path: i for i, path in enumerate(space.parameters)}
    out: dict[int, list[Clause]] = {}
    for rule in space.rules:
        out.setdefault(max(place[test.ref] for test in rule), []).append(rule)
    return out


def transitions(
    space: SearchSpace, classes: Mapping[str, Sequence[ValueClass]]
) -> Iterator[dict[State, list[tuple[int, State]]] | None]:
    """Yield, parameter by parameter, where each state leads that no rule forbids so far.

    Args:
        space: The space.
        classes: The classes of values of each parameter, by path.

    Yields:
        For each state before a parameter, the positions of its classes (-1: it is not active), each with the state after it. The
        states before the first and after the last are empty. None, and then nothing, above 20,000 states.
    """
    last_read = _last_reads(space, {path: i for i, path in enumerate(space.parameters)})
    last_rules = closing(space)
    states: dict[State, None] = {(): None}
    for position, (path, parameter) in enumerate(space.parameters.items()):
        layer: dict[State, list[tuple[int, State]]] = {}
        following: dict[State, None] = {}
        rests = [
            [
                tuple(test for test in rule if test.ref != path)
                for rule in last_rules.get(position, ())
                if all(test.accepts(value) for test in rule if test.ref == path)
            ]
            for value, _ in classes[path]
        ]
        for state in states:
            if len(following) > MAX_STATES:
                yield None
                return
            layer[state] = []
            config = _config_of(state, classes)
            for k, extended in _extend(parameter, state, config=config, classes=classes[path]):
                if k >= 0 and any(all(test.holds(config) for test in rest) for rest in rests[k]):
                    continue
                kept = tuple(pair for pair in extended if last_read.get(pair[0], -1) > position)
                layer[state].append((k, kept))
                following[kept] = None
        if len(following) > MAX_STATES:
            yield None
            return
        yield layer
        states = following


def _config_of(state: State, classes: Mapping[str, Sequence[ValueClass]]) -> dict[str, Any]:
    """Return the representatives that a state stands for."""
    return {ref: classes[ref][k][0] for ref, k in state}


def _extend(
    parameter: Parameter,
    state: State,
    *,
    config: Mapping[str, Any],
    classes: Sequence[ValueClass],
) -> list[tuple[int, State]]:
    if not parameter.active(config):
        return [(-1, state)]
    return [(k, (*state, (parameter.path, k))) for k in range(len(classes))]


def _last_reads(space: SearchSpace, place: Mapping[str, int]) -> dict[str, int]:
    last: dict[str, int] = {}
    for path, parameter in space.parameters.items():
        for ref in parameter.above:
            last[ref] = max(last.get(ref, -1), place[path])
    for rule in space.rules:
        end = max(place[test.ref] for test in rule)
        for test in rule:
            last[test.ref] = max(last.get(test.ref, -1), end)
    return last


class Readers:
    """What later parameters and rules ask of one parameter's value."""

    def __init__(self) -> None:
        self.indices: set[int] = set()
        self.branches: list[Any] = []
        self.tests: list[Test] = []

    def predicates(self) -> list[Predicate]:
        """Return the questions; values that answer all of them alike are one class."""
        above: list[Predicate] = [lambda value, i=i: bool(value > i) for i in sorted(self.indices)]  # type: ignore[misc]
        named: list[Predicate] = [lambda value, b=b: same(value, b) for b in self.branches]  # type: ignore[misc]
        return [*above, *named, *(test.accepts for test in self.tests)]

    def cuts(self) -> list[float]:
        """Return the numbers at which an answer can change."""
        ends = [end for test in self.tests for end in (test.low, test.high, *(test.values or ()), *test.excluded)]
        return [float(end) for end in (*ends, *self.indices) if end is not None]


def readers_of(space: SearchSpace) -> dict[str, Readers]:
    """Return what conditions and rules ask, by the path of the parameter that they ask it of; nothing where none does."""
    readers: dict[str, Readers] = {}

    def of(path: str) -> Readers:
        return readers.setdefault(path, Readers())

    for parameter in space.parameters.values():
        if parameter.parent is not None and parameter.index is not None:
            of(parameter.parent).indices.add(parameter.index)
        elif parameter.parent is not None and parameter.branch is not ABSENT:
            found = of(parameter.parent).branches
            if not any(same(parameter.branch, other) for other in found):
                found.append(parameter.branch)
        for clause in parameter.when.clauses if parameter.when else ():
            for test in clause:
                of(test.ref).tests.append(test)
    for rule in space.rules:
        for test in rule:
            of(test.ref).tests.append(test)
    return readers


def _classes(domain: Domain, readers: Readers | None) -> list[ValueClass]:
    """Group the values of ``domain`` by what the readers see of them."""
    if readers is None:
        size = domain.size()
        return [(domain.default(), 1 if size == math.inf else int(size))]
    points: Iterable[ValueClass] = ()
    if isinstance(domain, Categorical):
        points = ((value, 1) for value in domain.values)
    elif isinstance(domain, Numeric):
        points = _segments(domain, readers.cuts())
    predicates = readers.predicates()
    groups: dict[tuple[bool, ...], ValueClass] = {}
    for value, times in points:
        seen = tuple(predicate(value) for predicate in predicates)
        first, so_far = groups.get(seen, (value, 0))
        groups[seen] = (first, so_far + times)
    return list(groups.values())


def _segments(domain: Numeric, cuts: Sequence[float]) -> Iterable[ValueClass]:
    """Yield stretches of the range that no cut divides, each as a value inside and its number of values."""
    if domain.count is None:
        inner = sorted({cut for cut in cuts if domain.low < cut < domain.high} | {domain.low, domain.high})
        return [((a + b) / 2, 1) for a, b in pairwise(inner)]
    if domain.count <= _LISTED:
        return [(domain.point(k), 1) for k in range(domain.count)]
    starts = {0}
    for cut in cuts:
        k = math.floor((cut - domain.low) / (domain.step or 1) + 1e-9)
        starts |= {k, k + 1}
    edges = [*sorted(k for k in starts if 0 <= k < domain.count), domain.count]
    return [(domain.point(a), b - a) for a, b in pairwise(edges)]
