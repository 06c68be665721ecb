"""Content hashes of spaces and configurations: equal for what means the same, whatever the order it is written in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .conditions import Clause, Condition
from .declaration import Declaration
from .values import ABSENT, label

if TYPE_CHECKING:
    from .space import SearchSpace


def space_hash(declarations: Sequence[Declaration], rules: Sequence[Clause]) -> str:
    """Return the SHA-256 of a space as hex digits; descriptions and the order of keys play no part."""
    content = {
        "parameters": {item.name: _declaration(item) for item in declarations},
        "forbid": sorted(rule_key(rule) for rule in rules),
    }
    return hashlib.sha256(_json(content).encode()).hexdigest()


def config_hash(space: SearchSpace, config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration as hex digits; cells count up to isomorphism.

    It depends on paths and values only, so that versions of a space agree on the configurations that they share.
    """
    content = {}
    for path, value in config.items():
        parameter = space.parameters.get(path)
        known = parameter is not None and parameter.domain.contains(value)
        content[path] = _number(parameter.domain.canonical(value) if parameter is not None and known else value)
    return hashlib.sha256(_json(content).encode()).hexdigest()


def rule_key(rule: Clause) -> str:
    """Return a text that is equal exactly for rules that forbid the same in the same words, in any order."""
    return _json(_clause(rule))


def _declaration(item: Declaration) -> dict[str, Any]:
    spec = {key: _number(value) for key, value in item.domain.canonical_dict().items()}
    if item.default is not ABSENT:
        spec["default"] = _number(item.domain.canonical(item.default))
    if item.when is not None:
        spec["when"] = _condition(item.when)
    if item.children:
        spec["children"] = {child.name: _declaration(child) for child in item.children}
    if item.branches:
        spec["branches"] = {
            label(value): {child.name: _declaration(child) for child in inside} for value, inside in item.branches
        }
    return spec


def _condition(condition: Condition) -> list[Any]:
    return sorted((_clause(clause) for clause in condition.clauses), key=_json)


def _clause(clause: Clause) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for test in clause:
        spec: dict[str, Any] = {}
        if test.values is not None:
            spec["in"] = sorted((_number(value) for value in test.values), key=_json)
        if test.excluded:
            spec["not"] = sorted((_number(value) for value in test.excluded), key=_json)
        spec |= {key: _number(end) for key, end in (("min", test.low), ("max", test.high)) if end is not None}
        out[test.ref] = spec
    return out


def _number(value: Any) -> Any:
    """Return ``64.0`` as ``64``, inside lists too, so that equal values hash alike."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple):
        return [_number(item) for item in value]
    return value


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
