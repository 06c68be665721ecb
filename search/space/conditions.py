"""Conditions on other parameters: what ``when:`` and ``forbid:`` say. Where their names lead is in `tree`.

::

    when: {optimizer: sgd}                              the parameter has this value
    when: {optimizer: [sgd, adam], depth: {min: 3}}     all must hold; a list means any of its values
    when: {depth: {min: 3, max: 8, not: 5}}             bounds are inclusive; `not` takes a value or a list
    when: [{optimizer: sgd}, {depth: {max: 2}}]         a list of mappings: any of them

A condition on a parameter that is not active does not hold, `not` included.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .cell import Cell
from .document import Node, fail
from .domain import Categorical, Domain, Ordinal
from .numeric import Numeric
from .permutation import Permutation
from .values import ABSENT, is_number, show, value_key

_TEST_KEYS = ("in", "min", "max", "not")
_FORM = "Write a value, a list of values, or a mapping with min, max, not, in."


@dataclass(frozen=True)
class Test:
    """What one parameter's value must be.

    Args:
        ref: The parameter, as written or (once resolved) its full path.
        values: The allowed values, or None for any.
        excluded: Values that are not allowed.
        low: The least allowed value.
        high: The greatest allowed value.
        line: Where it is written.
    """

    __test__ = False  # not a test class for pytest

    ref: str
    values: tuple[Any, ...] | None = None
    excluded: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None
    line: int | None = None

    @cached_property
    def _allowed(self) -> frozenset[Hashable] | None:
        return None if self.values is None else frozenset(value_key(value) for value in self.values)

    @cached_property
    def _excluded(self) -> frozenset[Hashable]:
        return frozenset(value_key(value) for value in self.excluded)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Say whether the parameter is active in ``config`` with an allowed value."""
        value = config.get(self.ref, ABSENT)
        return value is not ABSENT and self.accepts(value)

    def accepts(self, value: Any) -> bool:
        """Say whether ``value`` is allowed."""
        key = value_key(value)
        if self._allowed is not None and key not in self._allowed:
            return False
        if self._excluded and key in self._excluded:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def unknown(self, domain: Domain) -> list[Any]:
        """Return the values it names that ``domain`` does not have."""
        ends = [end for end in (self.low, self.high) if end is not None]
        named = [*(self.values or ()), *self.excluded, *(ends if isinstance(domain, Categorical) else [])]
        return [value for value in named if not domain.contains(value)]

    def narrow(self, domain: Domain) -> Test | None:
        """Return the test as it reads on ``domain``, None when no value of it is allowed.

        On a list of values, bounds become the values between them (by position in an ordinal).
        """
        if isinstance(domain, Categorical):
            allowed = tuple(value for value in domain.values if self._accepts_listed(domain, value=value))
            if not allowed:
                return None
            return Test(self.ref, values=allowed, line=self.line)
        if isinstance(domain, Numeric):
            values = None if self.values is None else tuple(v for v in self.values if domain.contains(v))
            excluded = tuple(v for v in self.excluded if domain.contains(v))
            test = replace(self, values=values, excluded=excluded)
            return test if test._reachable(domain) else None
        return None

    def _accepts_listed(self, domain: Categorical, *, value: Any) -> bool:
        if not replace(self, low=None, high=None).accepts(value):
            return False
        place: Callable[[Any], Any] = domain.index if isinstance(domain, Ordinal) else lambda value: value
        if self.low is not None and not (domain.contains(self.low) and place(value) >= place(self.low)):
            return False
        return self.high is None or (domain.contains(self.high) and bool(place(value) <= place(self.high)))

    def _reachable(self, domain: Numeric) -> bool:
        if self.values is not None:
            return any(self.accepts(value) for value in self.values)
        low = domain.low if self.low is None else max(self.low, domain.low)
        high = domain.last if self.high is None else min(self.high, domain.last)
        if domain.count is None:
            return low < high or (low == high and not self.excluded)
        ks = range(domain.position(low), domain.position(high) + 1)
        # each excluded value takes one grid point away, so one more than those is enough to look at
        edge = [*ks[: len(self.excluded) + 2], *ks[-2:]]
        return any(low <= domain.point(k) <= high and self.accepts(domain.point(k)) for k in edge)

    def plain(self) -> Any:
        """Return the test as it is written."""
        spec: dict[str, Any] = {}
        if self.values is not None:
            spec["in"] = list(self.values)
        if self.low is not None:
            spec["min"] = self.low
        if self.high is not None:
            spec["max"] = self.high
        if self.excluded:
            spec["not"] = list(self.excluded) if len(self.excluded) > 1 else self.excluded[0]
        if list(spec) != ["in"]:
            return spec
        single = len(spec["in"]) == 1 and not isinstance(spec["in"][0], list | dict)
        return spec["in"][0] if single else spec["in"]


Clause = tuple[Test, ...]


def describe_rule(rule: Clause) -> str:
    """Return a rule as a message prints it."""
    return "{" + ", ".join(f"{test.ref}: {show(test.plain())}" for test in rule) + "}"


@dataclass(frozen=True)
class Condition:
    """Any of several clauses, each of tests that must all hold."""

    clauses: tuple[Clause, ...]

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Say whether the condition holds in ``config``."""
        return any(all(test.holds(config) for test in clause) for clause in self.clauses)

    @property
    def refs(self) -> tuple[str, ...]:
        """The parameters that it reads, each once."""
        return tuple(dict.fromkeys(test.ref for clause in self.clauses for test in clause))

    @property
    def line(self) -> int | None:
        """Where it starts."""
        return self.clauses[0][0].line

    def map(self, change: Callable[[Test], Test | None]) -> Condition | None:
        """Replace every test; None drops its clause, and a condition without clauses is None."""
        clauses = []
        for clause in self.clauses:
            tests = [change(test) for test in clause]
            if all(test is not None for test in tests):
                clauses.append(tuple(test for test in tests if test is not None))
        return Condition(tuple(clauses)) if clauses else None

    def plain(self) -> Any:
        """Return the condition as it is written: one mapping, or a list of them."""
        clauses = [{test.ref: test.plain() for test in clause} for clause in self.clauses]
        return clauses[0] if len(clauses) == 1 else clauses

    def __str__(self) -> str:
        return " or ".join(
            " and ".join(f"{test.ref} is {show(test.plain())}" for test in clause) for clause in self.clauses
        )


def parse_condition(node: Node, path: str) -> Condition:
    """Read a ``when`` or one rule of ``forbid``.

    Raises:
        SpaceError: It has another form; with the line.
    """
    clauses = node.items if node.items is not None else (node,)
    if not clauses:
        raise fail(node.line, path, problem="the list of conditions is empty.", hint=f"Name a parameter. {_FORM}")
    return Condition(tuple(parse_clause(clause, path) for clause in clauses))


def parse_clause(node: Node, path: str) -> Clause:
    """Read one mapping from parameters to what they must be."""
    if not node.entries:
        found = node.noun if node.value is None else show(node.value)
        problem = f"expected a mapping from parameters to values; found {found}."
        raise fail(
            node.line, path, problem=problem, hint="Write, for example: {optimizer: [sgd, adam], depth: {min: 3}}"
        )
    return tuple(_parse_test(str(item.key), item.node, path=path) for item in node.entries)


def _parse_test(ref: str, node: Node, *, path: str) -> Test:
    where = f"{path}.{ref}"
    if node.items is not None:
        return Test(ref, values=_values(node, where), line=node.line)
    if node.entries is None:
        return Test(ref, values=(node.value,), line=node.line)
    fields = {item.key: item.node for item in node.entries}
    unknown = [key for key in fields if key not in _TEST_KEYS]
    if unknown or not fields:
        problem = f"{show(unknown[0]) if unknown else 'an empty mapping'} is not a test."
        raise fail(node.line, where, problem=problem, hint=_FORM)
    excluded: tuple[Any, ...] = ()
    if (nots := fields.get("not")) is not None:
        excluded = _values(nots, where) if nots.items is not None else (nots.plain(),)
    return Test(
        ref,
        values=_values(fields["in"], where) if "in" in fields else None,
        excluded=excluded,
        low=fields["min"].plain() if "min" in fields else None,
        high=fields["max"].plain() if "max" in fields else None,
        line=node.line,
    )


def _values(node: Node, where: str) -> tuple[Any, ...]:
    if not node.items:
        raise fail(node.line, where, problem=f"expected a list of values; found {show(node.plain())}.", hint=_FORM)
    return tuple(item.plain() for item in node.items)


def check_test(test: Test, domain: Domain, *, path: str) -> Test:
    """Return ``test`` as it reads on the domain of the parameter it names.

    Raises:
        SpaceError: It names a value that the parameter cannot have, or can never hold.
    """
    if isinstance(domain, Cell | Permutation):
        problem = f"{test.ref} is a {domain.kind}; conditions read numbers and listed values only."
        raise fail(test.line, path, problem=problem, hint="Let a choice, an ordinal, a bool or a number decide.")
    _check_ends(test, domain, path=path)
    if unknown := test.unknown(domain):
        problem = f"{test.ref} is never {show(unknown[0])}; expected {domain.expected()}."
        raise fail(test.line, path, problem=problem, hint=_nearest(unknown[0], domain))
    narrowed = test.narrow(domain)
    if narrowed is None:
        problem = f"{test.ref} can never be {show(test.plain())}; it is {domain.expected()}."
        raise fail(test.line, path, problem=problem, hint="Change the condition or the range.")
    return narrowed


def _check_ends(test: Test, domain: Domain, *, path: str) -> None:
    ends = [end for end in (test.low, test.high) if end is not None]
    if not ends or isinstance(domain, Ordinal):
        return
    if isinstance(domain, Categorical):
        problem = (
            f"{test.ref} is a {domain.kind}, whose values have no order; min and max need an int, float or ordinal."
        )
        raise fail(test.line, path, problem=problem, hint=f"List the values: {test.ref}: [a, b].")
    if wrong := [end for end in ends if not is_number(end)]:
        raise fail(test.line, path, problem=f"{test.ref}: min and max must be numbers; found {show(wrong[0])}.")


def _nearest(value: Any, domain: Domain) -> str | None:
    if not isinstance(domain, Categorical):
        return "Change the condition or the range."
    near = difflib.get_close_matches(str(value), [str(v) for v in domain.values], n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else "Change the condition or the range."
