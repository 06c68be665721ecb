"""Spaces made from spaces: edit, add, remove, shrink. What no longer fits a change goes with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import SpaceError
from .conditions import Clause, Test
from .declaration import Declaration, parse_declaration
from .document import fail, from_plain
from .domain import Bool, Categorical, Choice, Constant, Domain, Ordinal
from .kinds import COMMON_KEYS, KINDS
from .numeric import Normal, Numeric
from .values import ABSENT, is_number, label, show, value_key

if TYPE_CHECKING:
    from .space import SearchSpace

Group = tuple[Declaration, ...]

_INDEX = re.compile(r"\[(?:\d+|\*)\]")


def no_such(path: str, known: Mapping[str, Any]) -> SpaceError:
    """Return the error for a path that no parameter has."""
    near = difflib.get_close_matches(path, list(known), n=2, cutoff=0.5)
    hint = (
        f"Did you mean {' or '.join(repr(name) for name in near)}?"
        if near
        else f"Known: {', '.join(list(known)[:10])}."
    )
    return fail(None, "", problem=f"the space has no parameter {path!r}.", hint=hint)


def edit(space: SearchSpace, path: str, *, changes: Mapping[str, Any]) -> SearchSpace:
    """Return ``space`` with keys of one parameter changed; see `SearchSpace.edit`."""
    target = _template(space, path)

    def change(found: str, item: Declaration) -> Declaration:
        return _edited(item, found, changes=changes) if found == target else item

    return _finish(space, _rebuild(space.declarations, "", change=change), rules=space.declared_rules)


def add(space: SearchSpace, path: str, *, declaration: Mapping[str, Any]) -> SearchSpace:
    """Return ``space`` with one more parameter; see `SearchSpace.add`."""
    group, _, name = _INDEX.sub("", path).rpartition(".")
    new = parse_declaration(name, from_plain(declaration), prefix=f"{group}." if group else "")
    if not group:
        return _finish(space, _appended(space.declarations, new, path=path), rules=space.declared_rules)
    found = False

    def change(here: str, item: Declaration) -> Declaration:
        nonlocal found
        if here == group and item.domain.kind == "int":
            found = True
            return replace(item, children=_appended(item.children, new, path=path))
        if isinstance(item.domain, Categorical) and not isinstance(item.domain, Constant):
            for value in item.domain.values:
                if group == f"{here}.{label(value)}":
                    found = True
                    branches = {value_key(v): (v, inside) for v, inside in item.branches}
                    inside = branches.get(value_key(value), (value, ()))[1]
                    branches[value_key(value)] = (value, _appended(inside, new, path=path))
                    return replace(item, branches=tuple(branches.values()))
        return item

    declarations = _rebuild(space.declarations, "", change=change)
    if not found:
        hint = "A group is an int, or a value of a choice: 'blocks', 'blocks.kind.resnet'."
        raise fail(None, path, problem=f"there is no group {group!r} to add to.", hint=hint)
    return _finish(space, declarations, rules=space.declared_rules)


def _appended(group: Group, new: Declaration, *, path: str) -> Group:
    if any(item.name == new.name for item in group):
        raise fail(None, path, problem="there already is a parameter of this name.", hint="Use edit() to change it.")
    return (*group, new)


def remove(space: SearchSpace, path: str) -> SearchSpace:
    """Return ``space`` without one parameter; see `SearchSpace.remove`."""
    target = _template(space, path)
    declarations = _rebuild(space.declarations, "", change=lambda found, item: None if found == target else item)
    return _finish(space, declarations, rules=space.declared_rules)


def shrink(space: SearchSpace, centers: Sequence[Mapping[str, Any]], *, fraction: float) -> SearchSpace:
    """Return ``space`` around good configurations; see `SearchSpace.shrink`."""
    if not is_number(fraction) or not 0 < fraction <= 1:
        problem = f"fraction is {show(fraction)}; expected a number above 0 and at most 1."
        raise fail(None, "shrink", problem=problem, hint="Write fraction=0.5")
    if not centers:
        raise fail(None, "shrink", problem="there is no configuration to shrink around.", hint="Give at least one.")
    seen: dict[str, list[Any]] = {}
    for center in centers:
        space.validate(center)
        for path, value in center.items():
            parameter = space.parameters[path]
            seen.setdefault(parameter.template, []).append(parameter.domain.normalize(value))

    def change(path: str, item: Declaration) -> Declaration:
        return _shrunk(item, seen[path], fraction=fraction) if path in seen else item

    return _finish(space, _rebuild(space.declarations, "", change=change), rules=space.declared_rules)


# ------------------------------------------------------------------------------------------------------------ pieces


def _template(space: SearchSpace, path: str) -> str:
    templates = dict(found for item in space.declarations for found in item.walk())
    target = space.parameters[path].template if path in space.parameters else _INDEX.sub("", path)
    if target not in templates:
        raise no_such(path, templates)
    return target


def _rebuild(group: Group, prefix: str, *, change: Callable[[str, Declaration], Declaration | None]) -> Group:
    """Return the tree with every declaration replaced by ``change(path, declaration)``, from the leaves up."""
    out = []
    for item in group:
        path = prefix + item.name
        children = _rebuild(item.children, f"{path}.", change=change)
        branches = tuple(
            (value, kept)
            for value, inside in item.branches
            if (kept := _rebuild(inside, f"{path}.{label(value)}.", change=change))
        )
        if item.nested:
            item = replace(item, children=children, branches=branches)
        new = change(path, item)
        if new is not None:
            out.append(new)
    return tuple(out)


def _edited(item: Declaration, path: str, *, changes: Mapping[str, Any]) -> Declaration:
    spec = item.to_dict()
    if changes.get("type", item.domain.kind) != item.domain.kind and changes["type"] in KINDS:
        spec = {key: value for key, value in spec.items() if key in COMMON_KEYS or key in KINDS[changes["type"]][0]}
    for key, value in changes.items():
        holds_null = key == "value" or (key == "default" and item.domain.contains(None))
        if value is None and not holds_null:
            spec.pop(key, None)
        else:
            spec[key] = value
    loose = {"default", "weights", "prior", "submodule", "when"} - set(changes)
    bare = parse_declaration(
        item.name, from_plain({k: v for k, v in spec.items() if k not in loose}), prefix=path[: -len(item.name)]
    )
    _refit(spec, old=item.domain, new=bare.domain, changes=changes)
    return replace(parse_declaration(item.name, from_plain(spec), prefix=path[: -len(item.name)]), line=item.line)


def _refit(spec: dict[str, Any], *, old: Domain, new: Domain, changes: Mapping[str, Any]) -> None:
    """Drop from ``spec`` what the change of the domain took away, unless the change itself asks for it."""
    if "default" in spec and "default" not in changes and not new.contains(spec["default"]):
        del spec["default"]
    if "weights" in spec and "weights" not in changes and isinstance(old, Categorical) and isinstance(new, Categorical):
        weights = dict(zip(map(value_key, old.values), old.weights or (), strict=True))
        spec["weights"] = [weights.get(value_key(value), 1.0) for value in new.values]
    if (
        "prior" in spec
        and "prior" not in changes
        and isinstance(old, Numeric)
        and isinstance(new, Numeric)
        and old.prior
    ):
        mean = min(max(old.prior.mean, new.low), new.high)
        spec["prior"] = {"normal": {"mean": mean, "std": old.prior.std}}
    if (
        "submodule" in spec
        and "submodule" not in changes
        and isinstance(old, Categorical)
        and isinstance(new, Categorical)
    ):
        labels = {label(value) for value in new.values}
        kept = {key: value for key, value in spec["submodule"].items() if key in labels}
        spec.pop("submodule")
        if kept:
            spec["submodule"] = kept


def _shrunk(item: Declaration, seen: Sequence[Any], *, fraction: float) -> Declaration:
    domain = _shrunk_domain(item.domain, seen, fraction=fraction)
    default = item.default
    if default is not ABSENT and not domain.contains(default):
        default = domain.normalize(seen[0])
    branches = item.branches
    if isinstance(domain, Categorical):
        branches = tuple(pair for pair in branches if domain.contains(pair[0]))
    return replace(item, domain=domain, default=default, branches=branches)


def _shrunk_domain(domain: Domain, seen: Sequence[Any], *, fraction: float) -> Domain:
    if isinstance(domain, Numeric):
        return _shrunk_range(domain, seen, fraction=fraction)
    if isinstance(domain, Ordinal):
        low, high = _window([domain.to_unit(value) for value in seen], fraction)
        positions = [
            domain.index(domain.from_unit(low)),
            domain.index(domain.from_unit(high)),
            *map(domain.index, seen),
        ]
        return _picked(domain, set(range(min(positions), max(positions) + 1)))
    if isinstance(domain, Choice | Bool):
        return _picked(domain, {domain.index(value) for value in seen})
    return domain


def _window(units: Sequence[float], fraction: float) -> tuple[float, float]:
    """Return the interval of [0, 1] around ``units`` that is at least ``fraction`` wide."""
    low, high = min(units), max(units)
    pad = max(0.0, fraction - (high - low)) / 2
    low, high = low - pad, high + pad
    shift = max(0.0, -low) - max(0.0, high - 1)
    return max(0.0, low + shift), min(1.0, high + shift)


def _shrunk_range(domain: Numeric, seen: Sequence[float], *, fraction: float) -> Numeric:
    ends = [domain.from_unit(end) for end in _window([domain.to_unit(value) for value in seen], fraction)]
    low, high = min(ends[0], *seen), max(ends[1], *seen)
    prior = domain.prior
    if prior is not None:
        prior = Normal(min(max(prior.mean, float(low)), float(high)), prior.std)
    kept = domain.step if domain.step is None or domain.kind == "int" or high > low else None
    return replace(domain, low=low, high=high, prior=prior, step=kept)


def _picked(domain: Categorical, positions: set[int]) -> Categorical:
    order = sorted(positions)
    if len(order) == len(domain.values):
        return domain
    make = Choice if isinstance(domain, Bool) else type(domain)
    weights = None if domain.weights is None else tuple(domain.weights[k] for k in order)
    return make(tuple(domain.values[k] for k in order), weights)


# ------------------------------------------------------------------------------------------------------------ pruning


def _finish(space: SearchSpace, declarations: Group, *, rules: Sequence[Clause]) -> SearchSpace:
    """Drop conditions, rules and parameters that lost what they need, and build the space."""
    before = {path: item.domain for top in space.declarations for path, item in top.walk()}
    pruned: Group | None = None
    while pruned != declarations:
        declarations = declarations if pruned is None else pruned
        pruned = _pruned(declarations, before)
    after = {path: item for top in declarations for path, item in top.walk()}
    kept = tuple(rule for rule in (_kept_rule(rule, before, after=after) for rule in rules) if rule is not None)
    if not declarations:
        raise fail(None, "", problem="nothing would be left of the space.", hint="Keep at least one parameter.")
    return type(space)(declarations, kept)


def _pruned(declarations: Group, before: Mapping[str, Domain]) -> Group:
    after = {path: item for top in declarations for path, item in top.walk()}

    def change(path: str, item: Declaration) -> Declaration | None:
        return _without_lost(item, path, before=before, after=after)

    return _rebuild(declarations, "", change=change)


def _without_lost(
    item: Declaration, path: str, *, before: Mapping[str, Domain], after: Mapping[str, Declaration]
) -> Declaration | None:
    if item.when is None:
        return item
    parts = path.split(".")
    scopes = [".".join(parts[:k]) + "." if k else "" for k in range(len(parts) - 1, -1, -1)]

    def keep(test: Test) -> Test | None:
        plain = _INDEX.sub("", test.ref)
        target = next((scope + plain for scope in scopes if scope + plain in before or scope + plain in after), plain)
        return _kept_test(test, target, before=before, after=after, scopes=scopes)

    when = item.when.map(keep)
    return None if when is None else replace(item, when=when)


def _kept_test(
    test: Test,
    target: str,
    *,
    before: Mapping[str, Domain],
    after: Mapping[str, Declaration],
    scopes: Sequence[str] = ("",),
) -> Test | None:
    """Return the test without what its parameter lost, None when it can no longer hold."""
    if target not in after:
        return test if target not in before else None  # a name that never was is reported by the space itself
    for match in re.finditer(r"\[(\d+)\]", test.ref):
        owner = _INDEX.sub("", test.ref[: match.start()])
        repeats = next((after[scope + owner].domain for scope in scopes if scope + owner in after), None)
        if repeats is not None and int(match.group(1)) >= getattr(repeats, "last", 0):
            return None
    domain = after[target].domain
    old = test.narrow(before[target]) if target in before else None
    if old is None or test.unknown(before[target]):
        return test  # it never held, which the space itself reports
    if not test.unknown(domain):
        return test if test.narrow(domain) is not None else None
    values = None if old.values is None else tuple(value for value in old.values if domain.contains(value))
    excluded = tuple(value for value in old.excluded if domain.contains(value))
    fitted = replace(old, values=values, excluded=excluded)
    return fitted if fitted.values != () and fitted.narrow(domain) is not None else None


def _kept_rule(rule: Clause, before: Mapping[str, Domain], *, after: Mapping[str, Declaration]) -> Clause | None:
    tests = [_kept_test(test, _INDEX.sub("", test.ref), before=before, after=after) for test in rule]
    return tuple(test for test in tests if test is not None) if None not in tests else None
