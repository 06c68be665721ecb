"""When a parameter of a define-by-run objective is asked for, learned from which trials asked. Not the ranges.

A parameter that some trials lack depends on one that they have: the objective asks for it below an ``if``. What explains all
trials seen so far is taken, the simplest first, and given up as soon as a trial contradicts it. Where nothing explains it, it
counts as always there, as one that is new to the study does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHOICE, INTEGER, FLOAT = range(3)
_MOST_TESTS = 3
_ENOUGH = 4


def conditions(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return the ``when`` of each parameter whose absences it explains.

    Args:
        rows: The values of each finished trial by name; a missing name was not asked for.
        kinds: `CHOICE`, `INTEGER` or `FLOAT` of each parameter, by name.

    Returns:
        Name to a mapping from other names to what they must be, as the space language writes it. No two of them depend on
        each other, for a parameter only depends on one that strictly more trials have.
    """
    presence = {name: sum(1 << i for i, row in enumerate(rows) if name in row) for name in kinds}
    everywhere = (1 << len(rows)) - 1
    found: dict[str, dict[str, Any]] = {}
    explained: dict[int, dict[str, Any] | None] = {}
    for name in kinds:
        mask = presence[name]
        if mask in (0, everywhere):
            continue
        if mask not in explained:
            above = [other for other in kinds if presence[other] != mask and presence[other] & mask == mask]
            above.sort(key=lambda other: (-presence[other].bit_count(), kinds[other], other))
            with_it = [row for i, row in enumerate(rows) if mask >> i & 1]
            without = [row for i, row in enumerate(rows) if not mask >> i & 1]
            explained[mask] = _explain(with_it, without, {other: kinds[other] for other in above})
        if (when := explained[mask]) is not None:
            found[name] = when
    return found


def _explain(
    with_it: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]], above: Mapping[str, int]
) -> dict[str, Any] | None:
    """Return one test that tells the two apart, or a few of choices and integers that do together."""
    tests = {name: _tightest(name, kind, with_it=with_it, without=without) for name, kind in above.items()}
    for kind in (CHOICE, INTEGER, FLOAT):
        for name, test in tests.items():
            if above[name] == kind and test is not None and not any(_holds(test, row, name) for row in without):
                return {name: test}
    return _several(with_it, without, {name: t for name, t in tests.items() if t is not None and above[name] != FLOAT})


def _several(
    with_it: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]], tests: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Take the test that leaves the fewest others, again and again; on few trials anything would fit."""
    if len(with_it) < _ENOUGH:
        return None
    taken: dict[str, Any] = {}
    while without and len(taken) < _MOST_TESTS:
        left = {name: [row for row in without if _holds(test, row, name)] for name, test in tests.items()}
        if not left or len(left[best := min(left, key=lambda name: len(left[name]))]) == len(without):
            return None
        taken[best], without = tests[best], left[best]
    return None if without else taken


def _tightest(
    name: str, kind: int, *, with_it: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return the test of one parameter that all of ``with_it`` pass and as few of ``without`` as can be."""
    inside = {row[name] for row in with_it}
    outside = {row[name] for row in without if name in row}
    if kind == CHOICE:
        return {"in": sorted(inside)}
    if not outside:
        return None
    low, high = min(inside), max(inside)
    if min(outside) <= low and high <= max(outside) and min(outside) < low and high < max(outside):
        return None
    if max(outside) >= high:
        below = [value for value in outside if value > high]
        return {"max": high if kind == INTEGER or not below else (high + min(below)) / 2}
    above = [value for value in outside if value < low]
    return {"min": low if kind == INTEGER or not above else (low + max(above)) / 2}


def _holds(test: Mapping[str, Any], row: Mapping[str, Any], name: str) -> bool:
    if name not in row:
        return False
    value = row[name]
    return (
        ("in" not in test or value in test["in"])
        and ("min" not in test or value >= test["min"])
        and ("max" not in test or value <= test["max"])
    )
