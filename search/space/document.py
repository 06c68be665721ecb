"""A space as written: YAML text or a Python mapping, as one tree of nodes that know their lines. Not what it means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import SpaceError
from .values import show, value_key

if TYPE_CHECKING:
    import yaml

MAX_NODES = 100_000
_TAG = "tag:yaml.org,2002:"

# YAML 1.2's core rules: 1e-4 is a number, yes and no are words, 1:30 is not a number of seconds.
_RULES: tuple[tuple[str, str, list[str], Callable[[str], Any]], ...] = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF"), lambda text: text.lower() == "true"),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789"), int),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
        lambda text: float(re.sub(r"\.(inf|nan)", r"\1", text.lower())),
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""], lambda _text: None),
)


class Item(NamedTuple):
    """An entry of a mapping, with the line of its key."""

    key: Any
    line: int | None
    node: Node


@dataclass(frozen=True)
class Node:
    """A scalar, a list or a mapping, and the line where it starts (None when it was not read from text)."""

    value: Any
    items: tuple[Node, ...] | None = None
    entries: tuple[Item, ...] | None = None
    line: int | None = None

    @property
    def noun(self) -> str:
        """What it is, as a message says it."""
        if self.entries is not None:
            return "a mapping"
        return "a list" if self.items is not None else "a single value"

    def plain(self) -> Any:
        """Return the node as Python values."""
        if self.entries is not None:
            return {item.key: item.node.plain() for item in self.entries}
        if self.items is not None:
            return [item.plain() for item in self.items]
        return self.value

    def get(self, key: Any) -> Node | None:
        """Return the value under ``key`` of a mapping, or None."""
        return next((item.node for item in self.entries or () if item.key == key), None)


def fail(line: int | None, path: str, *, problem: str, hint: str | None = None) -> SpaceError:
    """Return the error for ``path``, with the line in front when it is known."""
    where = f"line {line}: " if line is not None else ""
    return SpaceError(f"{where}{path + ': ' if path else ''}{problem}", hint=hint)


def read_yaml(text: str) -> Node:
    """Parse YAML text.

    Raises:
        SpaceError: It is not YAML, holds a key twice, or uses tags, merge keys or recursion.
    """
    import yaml

    try:
        root = _loader()(text).get_single_node()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        problem = " ".join(part for part in (e.context, e.problem) if part)
        raise fail(mark.line + 1 if mark else None, "", problem=f"this is not YAML: {problem}.") from e
    except (yaml.YAMLError, RecursionError, ValueError) as e:
        raise fail(
            None, "", problem=f"this is not YAML: {str(e).splitlines()[0] if str(e) else 'nested too deep'}."
        ) from e
    if root is None:
        raise fail(1, "", problem="the space is empty; expected a mapping from names to parameters.", hint=_SAMPLE)
    return _Converter().convert(root, ())


_SAMPLE = "Write, for example: learning_rate: {type: float, range: [1e-4, 1e-1], log: true}"


class _Converter:
    """Turn composed YAML nodes into `Node`s; aliases are copied, up to a limit."""

    def __init__(self) -> None:
        self._count = 0

    def convert(self, node: yaml.Node, above: tuple[int, ...]) -> Node:
        import yaml

        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_NODES:
            raise fail(line, "", problem=f"the space has more than {MAX_NODES} entries once its aliases are copied.")
        if id(node) in above or len(above) > 200:
            raise fail(line, "", problem="the entry contains itself or is nested more than 200 deep.")
        above = (*above, id(node))
        if isinstance(node, yaml.ScalarNode):
            return Node(_scalar(node, line), line=line)
        if isinstance(node, yaml.SequenceNode):
            return Node(None, items=tuple(self.convert(item, above) for item in node.value), line=line)
        entries = [Item(self._key(key), key.start_mark.line + 1, self.convert(item, above)) for key, item in node.value]
        return Node(None, entries=_distinct(entries), line=line)

    def _key(self, node: yaml.Node) -> Any:
        import yaml

        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            raise fail(line, "", problem="a key must be a single word or number.")
        if node.value == "<<":
            raise fail(line, "", problem="merge keys (<<) are not part of the language.", hint="Write the keys out.")
        return _scalar(node, line)


def _scalar(node: yaml.Node, line: int) -> Any:
    if node.tag == f"{_TAG}str":
        return node.value
    for name, _pattern, _first, build in _RULES:
        if node.tag == _TAG + name:
            try:
                return build(node.value)
            except (ValueError, OverflowError) as e:
                raise fail(line, "", problem=f"{node.value!r} is not a {name}.") from e
    raise fail(line, "", problem=f"the tag {node.tag!r} is not part of the language.")


def _distinct(entries: Iterable[Item]) -> tuple[Item, ...]:
    seen: dict[Any, int | None] = {}
    out = tuple(entries)
    for item in out:
        key = value_key(item.key)
        if key in seen:
            first = f"; it first stands on line {seen[key]}" if seen[key] is not None else ""
            raise fail(
                item.line, "", problem=f"the key {show(item.key)} stands twice{first}.", hint="Remove one of them."
            )
        seen[key] = item.line
    return out


def from_plain(value: Any, line: int | None = None) -> Node:
    """Return Python values as nodes; sets are sorted, numpy scalars become plain.

    Raises:
        SpaceError: A value is of a type that JSON does not have.
    """
    if isinstance(value, Mapping):
        entries = [Item(key, line, from_plain(item, line)) for key, item in value.items()]
        return Node(None, entries=_distinct(entries), line=line)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: (str(type(item)), item))
    if isinstance(value, list | tuple):
        return Node(None, items=tuple(from_plain(item, line) for item in value), line=line)
    if hasattr(value, "item") and hasattr(value, "dtype"):
        value = value.item()
    if value is not None and not isinstance(value, str | bool | int | float):
        raise fail(line, "", problem=f"{value!r} is a {type(value).__name__}; expected JSON values.")
    return Node(value, line=line)


@lru_cache(maxsize=1)
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's composer with the rules of YAML 1.2."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own class attribute

    _add_rules(Loader)
    return Loader


@lru_cache(maxsize=1)
def _dumper() -> type[yaml.SafeDumper]:
    import yaml

    class Dumper(yaml.SafeDumper):
        """PyYAML's writer that quotes what the loader above would not read as a string."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own class attribute

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    _add_rules(Dumper)
    Dumper.add_representer(float, lambda dumper, value: dumper.represent_scalar(f"{_TAG}float", _float_text(value)))
    return Dumper


def _add_rules(target: Any) -> None:
    for name, pattern, first, _build in _RULES:
        target.add_implicit_resolver(_TAG + name, re.compile(pattern), first)


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")


def write_yaml(value: Mapping[str, Any]) -> str:
    """Return plain values as YAML text that `read_yaml` reads back to the same values."""
    import yaml

    text: str = yaml.dump(
        dict(value), Dumper=_dumper(), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
    )
    return text
