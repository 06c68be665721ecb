"""Parameters as declared: a tree of names, domains, conditions and submodules; read from nodes, written as a mapping.

One declaration stands for many parameters when it lies under an int, which repeats it; `tree` makes those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .conditions import Clause, Condition, parse_clause, parse_condition
from .document import Node, fail
from .domain import Categorical, Constant, Domain
from .kinds import parse_domain
from .numeric import Integer
from .values import ABSENT, fresh, label, show, value_key

RESERVED = ("forbid",)
_NAME = re.compile(r"^[^\W\d][\w-]*$")
_NAMED = "Start with a letter; letters, digits, _ and - follow."


@dataclass(frozen=True)
class Declaration:
    """One parameter as declared.

    Args:
        name: Its own name, without a path.
        domain: What it may be.
        default: The declared default, or `ABSENT`.
        when: On what it depends, names as written.
        children: What an int repeats once per index.
        branches: What each value of a choice, an ordinal or a bool brings with it; by value, in declared order.
        description: What it means, for people; no part of the hash.
        line: Where its name is written.
    """

    name: str
    domain: Domain
    default: Any = ABSENT
    when: Condition | None = None
    children: tuple[Declaration, ...] = ()
    branches: tuple[tuple[Any, tuple[Declaration, ...]], ...] = ()
    description: str | None = None
    line: int | None = None

    @property
    def nested(self) -> bool:
        """Whether it has a submodule."""
        return bool(self.children or self.branches)

    def own(self) -> dict[str, Any]:
        """Return its keys without the submodule."""
        spec = self.domain.to_dict()
        if self.default is not ABSENT:
            spec["default"] = fresh(self.default)
        if self.when is not None:
            spec["when"] = self.when.plain()
        if self.description is not None:
            spec["description"] = self.description
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Return all its keys."""
        spec = self.own()
        if self.children:
            spec["submodule"] = {child.name: child.to_dict() for child in self.children}
        if self.branches:
            spec["submodule"] = {
                label(value): {child.name: child.to_dict() for child in inside} for value, inside in self.branches
            }
        return spec

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Declaration]]:
        """Yield itself and all below with their paths without indices, parents first."""
        path = prefix + self.name
        yield path, self
        for child in self.children:
            yield from child.walk(f"{path}.")
        for value, inside in self.branches:
            for child in inside:
                yield from child.walk(f"{path}.{label(value)}.")


def parse_space(root: Node) -> tuple[tuple[Declaration, ...], tuple[Clause, ...]]:
    """Read the declarations and the ``forbid`` rules of a space.

    Raises:
        SpaceError: With the line, the path, what was expected and the fix.
    """
    if root.entries is None:
        problem = f"a space is a mapping from names to parameters; found {root.noun}."
        raise fail(root.line, "", problem=problem, hint="Write, for example: depth: {type: int, range: [2...5]}")
    declarations = _parse_group(root, "", skip=RESERVED)
    rules: tuple[Clause, ...] = ()
    if (forbid := root.get("forbid")) is not None:
        if forbid.items is None:
            problem = f"expected a list of mappings; found {forbid.noun}."
            raise fail(
                forbid.line,
                "forbid",
                problem=problem,
                hint="Write, for example: forbid: [{optimizer: sgd, depth: {min: 8}}]",
            )
        rules = tuple(parse_clause(item, f"forbid[{i}]") for i, item in enumerate(forbid.items))
    if not declarations:
        problem = "the space declares no parameter."
        raise fail(root.line, "", problem=problem, hint="Write, for example: depth: {type: int, range: [2...5]}")
    return declarations, rules


def _parse_group(node: Node, prefix: str, *, skip: Sequence[str] = ()) -> tuple[Declaration, ...]:
    return tuple(
        parse_declaration(item.key, item.node, prefix=prefix, line=item.line)
        for item in node.entries or ()
        if item.key not in skip
    )


def parse_declaration(name: Any, node: Node, *, prefix: str = "", line: int | None = None) -> Declaration:
    """Read one parameter; ``prefix`` is the path in front of its name.

    Raises:
        SpaceError: With the line, the path, what was expected and the fix.
    """
    path = f"{prefix}{label(name)}"
    if not isinstance(name, str) or not _NAME.match(name):
        raise fail(line, prefix.rstrip("."), problem=f"{show(name)} is not a name for a parameter.", hint=_NAMED)
    if node.entries is None:
        found = "nothing" if node.value is None and node.items is None else show(node.plain())
        value = "..." if found == "nothing" else found
        hint = f"Write {name}: {{type: constant, value: {value}}} for a fixed value, or give a type and a range."
        raise fail(line, path, problem=f"expected a mapping with a type; found {found}.", hint=hint)
    fields = {item.key: item.node for item in node.entries}
    if "type" not in fields:
        raise fail(
            line, path, problem="the key 'type' is missing.", hint="Write, for example: type: int, range: [2...5]"
        )
    kind = fields["type"].plain()
    domain = parse_domain(kind if isinstance(kind, str) else show(kind), fields, path=path, line=line)
    children, branches = _parse_submodule(domain, fields.get("submodule"), path=path)
    return Declaration(
        name,
        domain,
        default=_parse_default(domain, fields.get("default"), path=path),
        when=parse_condition(fields["when"], f"{path}.when") if "when" in fields else None,
        children=children,
        branches=branches,
        description=_parse_description(fields.get("description"), path),
        line=line,
    )


def _parse_default(domain: Domain, node: Node | None, *, path: str) -> Any:
    if node is None:
        return ABSENT
    value = node.plain()
    if isinstance(domain, Constant):
        problem = "a constant has a value and no default."
        raise fail(node.line, path, problem=problem, hint="Remove default.")
    if not domain.contains(value):
        problem = f"default {show(value)} is outside of the range; expected {domain.expected()}."
        raise fail(node.line, path, problem=problem, hint="Change the default or widen the range.")
    return domain.normalize(value)


def _parse_description(node: Node | None, path: str) -> str | None:
    if node is None:
        return None
    if not isinstance(node.value, str):
        raise fail(node.line, path, problem=f"description is {show(node.plain())}; expected text.", hint="Quote it.")
    return node.value


Branches = tuple[tuple[Any, tuple[Declaration, ...]], ...]


def _parse_submodule(domain: Domain, node: Node | None, *, path: str) -> tuple[tuple[Declaration, ...], Branches]:
    if node is None:
        return (), ()
    if node.entries is None:
        raise fail(
            node.line, path, problem=f"submodule is {show(node.plain())}; expected a mapping.", hint="Remove it."
        )
    if isinstance(domain, Integer):
        if domain.low < 0:
            problem = f"an int that repeats a submodule cannot be negative; its range starts at {show(domain.low)}."
            raise fail(node.line, path, problem=problem, hint="Start the range at 0 or above.")
        return _parse_group(node, f"{path}."), ()
    if isinstance(domain, Categorical) and not isinstance(domain, Constant):
        return (), _parse_branches(domain, node, path=path)
    problem = f"a parameter of type {domain.kind} has no submodule."
    raise fail(
        node.line, path, problem=problem, hint="An int repeats one; a choice, an ordinal or a bool selects a branch."
    )


def _parse_branches(domain: Categorical, node: Node, *, path: str) -> Branches:
    by_label: dict[str, Any] = {}
    for value in domain.values:
        if label(value) in by_label:
            problem = f"{show(value)} and {show(by_label[label(value)])} would name one branch."
            raise fail(node.line, path, problem=problem, hint="Use values whose text differs.")
        by_label[label(value)] = value
    found: dict[Any, tuple[Any, tuple[Declaration, ...]]] = {}
    for item in node.entries or ():
        value = item.key if domain.contains(item.key) else by_label.get(label(item.key), ABSENT)
        if value is ABSENT:
            problem = f"the branch {show(item.key)} is none of the values; expected {domain.expected()}."
            raise fail(
                item.line, path, problem=problem, hint="Name the branch like a value, or add the value to range."
            )
        value = domain.normalize(value)
        if value_key(value) in found:
            raise fail(item.line, path, problem=f"the branch {show(value)} stands twice.", hint="Remove one of them.")
        where = f"{path}.{label(value)}"
        if item.node.entries is None and not (item.node.value is None and item.node.items is None):
            problem = f"expected a mapping from names to parameters; found {show(item.node.plain())}."
            raise fail(item.line, where, problem=problem, hint="Leave a branch without parameters out.")
        inside = _parse_group(item.node, f"{where}.")
        if inside:
            found[value_key(value)] = (value, inside)
    return tuple(found.values())
