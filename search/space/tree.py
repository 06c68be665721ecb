"""Parameters as configured: every declaration as the instances it stands for, conditions bound to paths, parents first.

A name in ``when`` is looked up beside the parameter, then in each group around it, then from the root; an instance
under ``blocks[1]`` therefore sees its siblings under ``blocks[1]``. A name in ``forbid`` starts at the root, and
``[*]`` stands for every index (the same one wherever the same path carries it).
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import SpaceError
from .conditions import Clause, Condition, Test, check_test
from .declaration import Declaration
from .document import fail
from .domain import Domain
from .values import ABSENT, label, show, value_key

MAX_PARAMETERS = 20_000


@dataclass(frozen=True)
class Parameter:
    """One parameter of a configuration.

    Args:
        path: Its key in a configuration, such as ``blocks[1].kind.resnet.width``.
        domain: What it may be.
        declaration: What declares it.
        template: Its path without indices, ``blocks.kind.resnet.width``; shared by all instances of the declaration.
        parent: The path of the parameter whose submodule it belongs to, or None.
        index: Under an int parent, its index: it is active while the parent is greater.
        branch: Under a choice, ordinal or bool parent, the value that activates it; else `ABSENT`.
        when: The other conditions, bound to paths.
    """

    path: str
    domain: Domain
    declaration: Declaration
    template: str
    parent: str | None = None
    index: int | None = None
    branch: Any = ABSENT
    when: Condition | None = None
    _branch_key: Hashable = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_branch_key", value_key(self.branch))

    @property
    def name(self) -> str:
        """Its own name."""
        return self.declaration.name

    @property
    def kind(self) -> str:
        """The word after ``type:``."""
        return self.domain.kind

    @property
    def default(self) -> Any:
        """The declared default, or the domain's."""
        declared = self.declaration.default
        return self.domain.default() if declared is ABSENT else self.domain.normalize(declared)

    def active(self, config: Mapping[str, Any]) -> bool:
        """Say whether it is active, given what stands above it in ``config``."""
        if self.parent is not None:
            value = config.get(self.parent, ABSENT)
            if value is ABSENT:
                return False
            if self.index is not None:
                if value <= self.index:
                    return False
            elif value_key(value) != self._branch_key:
                return False
        return self.when is None or self.when.holds(config)

    def reason(self) -> str:
        """Say when it is active."""
        parts = []
        if self.parent is not None and self.index is not None:
            parts.append(f"{self.parent} is above {self.index}")
        elif self.parent is not None:
            parts.append(f"{self.parent} is {show(self.branch)}")
        if self.when is not None:
            parts.append(str(self.when))
        return " and ".join(parts) or "always"

    @property
    def above(self) -> tuple[str, ...]:
        """The parameters that its activity depends on."""
        refs = self.when.refs if self.when else ()
        return refs if self.parent is None else (self.parent, *refs)


@dataclass(frozen=True)
class _Draft:
    """An instance before its conditions are bound, with the prefixes where its names are looked up."""

    parameter: Parameter
    scopes: tuple[str, ...]


def expand(declarations: Sequence[Declaration]) -> dict[str, Parameter]:
    """Return all instances by path, those that others depend on first, otherwise as declared.

    Raises:
        SpaceError: A condition names nothing, never holds or closes a cycle, or there are too many instances.
    """
    drafts: dict[str, _Draft] = {}
    for draft in _instances(declarations, "", template="", scopes=("",), parent={}):
        drafts[draft.parameter.path] = draft
        if len(drafts) > MAX_PARAMETERS:
            line, path = draft.parameter.declaration.line, draft.parameter.path
            problem = f"the space repeats to more than {MAX_PARAMETERS} parameters."
            raise fail(line, path, problem=problem, hint="Lower the high end of an int that has a submodule.")
    bound = {path: _bind(draft, drafts) for path, draft in drafts.items()}
    return _ordered(bound)


def _instances(
    group: Sequence[Declaration], prefix: str, *, template: str, scopes: tuple[str, ...], parent: Mapping[str, Any]
) -> Iterator[_Draft]:
    for item in group:
        path, pattern = prefix + item.name, template + item.name
        yield _Draft(Parameter(path, item.domain, item, pattern, **parent), scopes)
        for index in range(int(getattr(item.domain, "last", 0)) if item.children else 0):
            inner = f"{path}[{index}]."
            below = {"parent": path, "index": index}
            yield from _instances(item.children, inner, template=f"{pattern}.", scopes=(inner, *scopes), parent=below)
        for value, inside in item.branches:
            inner = f"{path}.{label(value)}."
            below = {"parent": path, "branch": value}
            yield from _instances(
                inside, inner, template=f"{pattern}.{label(value)}.", scopes=(inner, *scopes), parent=below
            )


def _bind(draft: _Draft, drafts: Mapping[str, _Draft]) -> Parameter:
    parameter = draft.parameter
    declared = parameter.declaration.when
    if declared is None:
        return parameter
    where = f"{parameter.template}.when"

    def resolve(test: Test) -> Test:
        path = next((scope + test.ref for scope in draft.scopes if scope + test.ref in drafts), None)
        if path is None:
            raise _unknown(test, where, drafts=drafts)
        return check_test(replace(test, ref=path), drafts[path].parameter.domain, path=where)

    return replace(parameter, when=declared.map(resolve))


def _unknown(test: Test, where: str, *, drafts: Mapping[str, _Draft]) -> SpaceError:
    problem = f"there is no parameter {test.ref!r} here."
    names = {draft.parameter.name for draft in drafts.values()} | {draft.parameter.path for draft in drafts.values()}
    full = [path for path, draft in drafts.items() if test.ref in (draft.parameter.template, draft.parameter.name)]
    if full:
        hint = f"Write its whole path, such as {full[0]!r}."
    else:
        near = difflib.get_close_matches(test.ref, sorted(names), n=2, cutoff=0.5)
        known = ", ".join(list(drafts)[:10])
        hint = f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else f"Known: {known}."
    return fail(test.line, where, problem=problem, hint=hint)


def _ordered(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Sort so that everything follows what it depends on, keeping the declared order where that leaves a choice."""
    place = {path: i for i, path in enumerate(parameters)}
    waiting = {path: len(set(parameter.above)) for path, parameter in parameters.items()}
    below: dict[str, list[str]] = {}
    for path, parameter in parameters.items():
        for ref in set(parameter.above):
            below.setdefault(ref, []).append(path)
    ready = [(place[path], path) for path, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    out: dict[str, Parameter] = {}
    while ready:
        _, path = heapq.heappop(ready)
        out[path] = parameters[path]
        for child in below.get(path, ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, (place[child], child))
    if len(out) < len(parameters):
        raise _cycle({path: p for path, p in parameters.items() if path not in out})
    return out


def _cycle(left: Mapping[str, Parameter]) -> SpaceError:
    path = next(iter(left))
    seen: list[str] = []
    while path not in seen:
        seen.append(path)
        path = next(ref for ref in left[path].above if ref in left)
    loop = [*seen[seen.index(path) :], path]
    first = next(left[p] for p in loop if left[p].when is not None)
    line = first.when.line if first.when else None
    return fail(
        line,
        f"{first.template}.when",
        problem=f"the conditions form a cycle: {' -> '.join(reversed(loop))}.",
        hint="Remove one of these conditions: a parameter cannot decide whether it is active itself.",
    )


def bind_rules(rules: Sequence[Clause], parameters: Mapping[str, Parameter]) -> tuple[Clause, ...]:
    """Return the ``forbid`` rules bound to paths, one per choice of the indices that ``[*]`` stands for.

    Raises:
        SpaceError: A rule names nothing, or a value that its parameter never has.
    """
    out: list[Clause] = []
    for i, rule in enumerate(rules):
        for variant in _wildcards(rule, parameters):
            tests = []
            for test in variant:
                if test.ref not in parameters:
                    drafts = {path: _Draft(parameter, ()) for path, parameter in parameters.items()}
                    raise _unknown(test, f"forbid[{i}]", drafts=drafts)
                tests.append(check_test(test, parameters[test.ref].domain, path=f"forbid[{i}]"))
            out.append(tuple(tests))
    return tuple(out)


def _wildcards(rule: Clause, parameters: Mapping[str, Parameter]) -> Iterator[Clause]:
    star = next((test.ref.partition("[*]")[0] for test in rule if "[*]" in test.ref), None)
    if star is None:
        yield rule
        return
    known = parameters.get(star)
    count = int(getattr(known.domain, "last", 0)) if known is not None and known.declaration.children else 0
    if count == 0:
        bad = next(test for test in rule if test.ref.startswith(f"{star}[*]"))
        hint = "[*] follows the name of an int with a submodule."
        raise fail(
            bad.line, "forbid", problem=f"{star!r} repeats nothing, so {bad.ref!r} names no parameter.", hint=hint
        )
    for index in range(count):
        pattern = re.compile(re.escape(f"{star}[*]"))
        variant = tuple(replace(test, ref=pattern.sub(f"{star}[{index}]", test.ref, count=1)) for test in rule)
        yield from _wildcards(variant, parameters)
