"""How many configurations a space has, and whether its rules leave any.

Parameters are taken in order; what is carried along is, for the parameters that a later condition or rule still reads,
only which class of values they are in (values that no reader tells apart are one class). A tree therefore costs little
however many configurations it has; only rules and conditions that entangle many distant parameters make it grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .conditions import Clause, Test
from .configure import describe_rule
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
    place = {path: i for i, path in enumerate(space.parameters)}
    readers = _predicates(space)
    closing: dict[int, list[Clause]] = {}
    for rule in space.rules:
        closing.setdefault(max(place[test.ref] for test in rule), []).append(rule)
    last_read = _last_reads(space, place)
    states: dict[tuple[tuple[str, int], ...], int] = {(): 1}
    classes: dict[str, list[ValueClass]] = {}
    for position, (path, parameter) in enumerate(space.parameters.items()):
        classes[path] = _classes(parameter.domain, readers.get(path, []))
        following: dict[tuple[tuple[str, int], ...], int] = {}
        for state, ways in states.items():
            config = _config_of(state, classes)
            for extended, times in _extend(parameter, state, config=config, classes=classes[path]):
                if any(
                    all(test.holds(_config_of(extended, classes)) for test in rule)
                    for rule in closing.get(position, ())
                ):
                    continue
                kept = tuple(pair for pair in extended if last_read.get(pair[0], -1) > position)
                following[kept] = following.get(kept, 0) + ways * times
        if len(following) > MAX_STATES:
            return None
        states = following
    return sum(states.values())


def _config_of(state: Iterable[tuple[str, int]], classes: Mapping[str, Sequence[ValueClass]]) -> dict[str, Any]:
    """Return the representatives that a state stands for."""
    return {ref: classes[ref][k][0] for ref, k in state}


def _extend(
    parameter: Parameter,
    state: tuple[tuple[str, int], ...],
    *,
    config: Mapping[str, Any],
    classes: Sequence[ValueClass],
) -> list[tuple[tuple[tuple[str, int], ...], int]]:
    if not parameter.active(config):
        return [(state, 1)]
    return [((*state, (parameter.path, k)), times) for k, (_, times) in enumerate(classes)]


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


class _Readers:
    """What later parameters and rules ask of one parameter's value."""

    def __init__(self) -> None:
        self.indices: set[int] = set()
        self.branches: list[Any] = []
        self.tests: list[Test] = []

    def predicates(self) -> list[Predicate]:
        above: list[Predicate] = [lambda value, i=i: bool(value > i) for i in sorted(self.indices)]  # type: ignore[misc]
        named: list[Predicate] = [lambda value, b=b: same(value, b) for b in self.branches]  # type: ignore[misc]
        return [*above, *named, *(test.accepts for test in self.tests)]

    def cuts(self) -> list[float]:
        ends = [end for test in self.tests for end in (test.low, test.high, *(test.values or ()), *test.excluded)]
        return [float(end) for end in (*ends, *self.indices) if end is not None]


def _predicates(space: SearchSpace) -> dict[str, _Readers]:
    readers: dict[str, _Readers] = {}

    def of(path: str) -> _Readers:
        return readers.setdefault(path, _Readers())

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


def _classes(domain: Domain, readers: _Readers | list[Any]) -> list[ValueClass]:
    """Group the values of ``domain`` by what the readers see of them."""
    if not isinstance(readers, _Readers):
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
