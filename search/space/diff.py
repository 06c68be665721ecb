"""What changed between two spaces, as values and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .declaration import Declaration
from .domain import Categorical
from .hashing import rule_key
from .values import ABSENT, label, same, show

if TYPE_CHECKING:
    from .space import SearchSpace

_KEYS = ("type", "range", "value", "log", "step", "weights", "prior", "nodes", "operations", "zero", "identity")


@dataclass(frozen=True)
class Change:
    """One change.

    Args:
        action: ``added``, ``removed`` or ``changed``.
        path: The parameter, without indices; ``forbid`` for a rule.
        key: What of it changed, such as ``range``; None when all of it came or went.
        before: The old value, None where there was none.
        after: The new value, None where there is none.
    """

    action: str
    path: str
    key: str | None = None
    before: Any = None
    after: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {"action": self.action, "path": self.path, "key": self.key, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        if self.action == "added":
            return f"+ {self.path}: {_summary(self.after)}"
        if self.action == "removed":
            return f"- {self.path}: {_summary(self.before)}"
        if self.before is None or self.after is None:
            sign, value = ("+", self.after) if self.before is None else ("-", self.before)
            return f"~ {self.path}.{self.key}: {sign} {_text(value)}"
        if self._listed:
            gone = [f"- {show(v)}" for v in self.before if not any(same(v, other) for other in self.after)]
            new = [f"+ {show(v)}" for v in self.after if not any(same(v, other) for other in self.before)]
            return f"~ {self.path}.{self.key}: {', '.join([*new, *gone]) or 'order ' + show(self.after)}"
        return f"~ {self.path}.{self.key}: {_text(self.before)} -> {_text(self.after)}"

    @property
    def _listed(self) -> bool:
        if not isinstance(self.before, list) or not isinstance(self.after, list) or self.key not in ("range", "items"):
            return False
        ends = [*self.before, *self.after]
        return self.key == "items" or not (
            len(self.before) == len(self.after) == 2 and all(isinstance(v, int | float) and v is not True for v in ends)
        )


@dataclass(frozen=True)
class SpaceDiff:
    """All changes from one space to another; false when there are none."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as JSON values."""
        return {"changes": [change.to_dict() for change in self.changes]}

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self.changes) or "no changes"


def diff(before: SearchSpace, after: SearchSpace) -> SpaceDiff:
    """Return what changes from ``before`` to ``after``; a parameter stands for what it has below."""
    old = {path: item for top in before.declarations for path, item in top.walk()}
    new = {path: item for top in after.declarations for path, item in top.walk()}
    changes: list[Change] = []
    for path, item in new.items():
        if path in old:
            changes.extend(_changed(path, old=old[path], new=item))
        elif not _below(path, new, missing_in=old):
            changes.append(Change("added", path, after=item.to_dict()))
    changes.extend(
        Change("removed", path, before=item.to_dict())
        for path, item in old.items()
        if path not in new and not _below(path, old, missing_in=new)
    )
    return SpaceDiff((*changes, *_rules(before, after)))


def _below(path: str, among: Mapping[str, Declaration], *, missing_in: Mapping[str, Declaration]) -> bool:
    """Say whether something above ``path`` came or went as a whole."""
    parts = path.split(".")
    above = (".".join(parts[:k]) for k in range(1, len(parts)))
    return any(prefix in among and prefix not in missing_in for prefix in above)


def _changed(path: str, *, old: Declaration, new: Declaration) -> list[Change]:
    before, after = _display(old), _display(new)
    out = []
    for key in dict.fromkeys((*_KEYS, *before, *after)):
        left, right = before.get(key, ABSENT), after.get(key, ABSENT)
        if not _equal(key, left, right=right, kind=new.domain.kind):
            change = [None if side is ABSENT else side for side in (left, right)]
            out.append(Change("changed", path, key=key, before=change[0], after=change[1]))
    return out


def _display(item: Declaration) -> dict[str, Any]:
    spec = item.own()
    if isinstance(item.domain, Categorical) and item.domain.weights is not None:
        spec["weights"] = {label(v): w for v, w in zip(item.domain.values, item.domain.weights, strict=True)}
    return spec


def _equal(key: str, left: Any, *, right: Any, kind: str) -> bool:
    if key == "range" and kind == "choice" and isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(any(same(v, other) for other in right) for v in left)
    if left is ABSENT or right is ABSENT:
        return left is right
    return same(left, right)


def _rules(before: SearchSpace, after: SearchSpace) -> list[Change]:
    old = {rule_key(rule): rule for rule in before.declared_rules}
    new = {rule_key(rule): rule for rule in after.declared_rules}
    gone = [Change("removed", "forbid", before=_rule(rule)) for key, rule in old.items() if key not in new]
    return gone + [Change("added", "forbid", after=_rule(rule)) for key, rule in new.items() if key not in old]


def _rule(rule: Any) -> dict[str, Any]:
    return {test.ref: test.plain() for test in rule}


def _summary(spec: Mapping[str, Any]) -> str:
    if "submodule" not in spec:
        return _text(spec)
    own = {key: value for key, value in spec.items() if key != "submodule"}
    return f"{_text(own)} with a submodule"


def _text(value: Any) -> str:
    """Return a value without the quotes and the limit that `show` gives it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return show(value)
