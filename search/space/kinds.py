"""The kinds of parameters as they are written: which keys each one has, and what may stand there."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SpaceError
from .cell import Cell
from .document import Node, fail
from .domain import Bool, Categorical, Choice, Constant, Domain, Ordinal
from .numeric import Float, Integer, Normal
from .permutation import FEWEST, MOST, Permutation
from .values import is_number, label, show, value_key

Fields = Mapping[str, Node]


@dataclass(frozen=True)
class Written:
    """A parameter as written: its keys, its path and the line of its name."""

    fields: Fields
    path: str
    line: int | None

    def need(self, key: str, example: str) -> Node:
        """Return the value of a key, or raise the error that it is missing."""
        if key not in self.fields:
            hint = f"Write, for example: {example}"
            raise fail(self.line, self.path, problem=f"the key {key!r} is missing.", hint=hint)
        return self.fields[key]

    def wrong(self, node: Node, problem: str, *, hint: str | None = None) -> SpaceError:
        """Return the error for what stands at ``node``."""
        return fail(node.line, self.path, problem=problem, hint=hint)


Builder = Callable[[Written], Domain]

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_SPAN = re.compile(rf"^\s*({_NUMBER})\s*\.\.\.\s*({_NUMBER})\s*$")
_LARGEST_INT = 2**53
_MOST_STEPS = 1_000_000

COMMON_KEYS = ("type", "default", "when", "submodule", "description")


def parse_domain(kind: str, fields: Fields, *, path: str, line: int | None) -> Domain:
    """Build the domain that ``fields`` declare.

    Raises:
        SpaceError: The kind or a key is unknown, or a value is impossible; with line, path and the fix.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, [*KINDS, *_OTHER_WORDS], n=3, cutoff=0.5)
        meant = list(dict.fromkeys(_OTHER_WORDS.get(name, name) for name in ([kind] if kind in _OTHER_WORDS else near)))
        hint = f"Did you mean {' or '.join(repr(name) for name in meant)}? " if meant else ""
        problem = f"unknown type {kind!r}; expected one of {', '.join(KINDS)}."
        raise fail(fields["type"].line, path, problem=problem, hint=f"{hint}Known types: {', '.join(KINDS)}.")
    keys, build = KINDS[kind]
    for key, node in fields.items():
        if key not in keys and key not in COMMON_KEYS:
            allowed = [*COMMON_KEYS, *keys]
            near = difflib.get_close_matches(str(key), allowed, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(allowed)}."
            raise fail(node.line, path, problem=f"unknown key {show(key)} in a parameter of type {kind}.", hint=hint)
    return build(Written(fields, path, line))


# ---------------------------------------------------------------------------------------------------------- numbers


def _ends(written: Written, kind: str) -> tuple[float, float]:
    example = "range: [2...5]" if kind == "int" else "range: [0.0, 1.0]"
    node = written.need("range", example)
    values = [item.plain() for item in node.items] if node.items is not None else [node.value]
    if len(values) == 1 and isinstance(values[0], str) and (match := _SPAN.match(values[0])):
        values = [float(text) if re.search(r"[.eE]", text) else int(text) for text in match.groups()]
    if node.entries is not None or len(values) != 2:
        problem = f"the range of a {kind} is two numbers; found {show(node.plain())}."
        listed = node.entries is not None or len(values) > 2
        hint = "For a list of values use type: choice or type: ordinal." if listed else f"Write, for example: {example}"
        raise written.wrong(node, problem, hint=hint)
    for value in values:
        if not is_number(value):
            problem = f"{show(value)} in range is not a finite number."
            raise written.wrong(node, problem, hint=f"Write, for example: {example}")
        if kind == "int" and (value != int(value) or abs(value) > _LARGEST_INT):
            problem = f"{show(value)} in range is not an integer between -2^53 and 2^53."
            raise written.wrong(node, problem, hint="Use type: float, or round it.")
    low, high = values
    if low > high:
        problem = f"the range [{show(low)}, {show(high)}] is empty; expected the low end first."
        raise written.wrong(node, problem, hint=f"Write range: [{show(high)}, {show(low)}]")
    if not math.isfinite(high - low):
        raise written.wrong(node, "the range is too wide for a float.")
    return low, high


def _flag(written: Written, key: str) -> bool:
    node = written.fields.get(key)
    if node is None:
        return False
    if not isinstance(node.value, bool):
        problem = f"{key} is {show(node.plain())}; expected true or false."
        raise written.wrong(node, problem, hint=f"Write {key}: true")
    return node.value


def _step(written: Written, kind: str, *, width: float) -> float | None:
    node = written.fields.get("step")
    if node is None:
        return 1 if kind == "int" else None
    step = node.plain()
    if not is_number(step) or step <= 0 or (kind == "int" and step != int(step)):
        noun = "a positive integer" if kind == "int" else "a positive number"
        problem = f"step is {show(step)}; expected {noun}."
        raise written.wrong(node, problem, hint="Write step: 1, or leave it out.")
    if step > width > 0:
        problem = f"step {show(step)} is wider than the range, whose width is {show(width)}."
        raise written.wrong(node, problem, hint="Make the step smaller, or use type: constant.")
    if kind == "float" and width / step > _MOST_STEPS:
        problem = f"step {show(step)} is too small: it divides the range into more than a million values."
        raise written.wrong(node, problem, hint="Leave step out for a continuous range.")
    return int(step) if kind == "int" else float(step)


def _numeric(kind: str) -> Builder:
    def build(written: Written) -> Domain:
        low, high = _ends(written, kind)
        log = _flag(written, "log")
        if log and low <= 0:
            problem = f"log: true needs a range above 0; its low end is {show(low)}."
            raise written.wrong(written.fields["log"], problem, hint="Raise the low end above 0, or remove log.")
        step = _step(written, kind, width=high - low)
        prior = _normal(written, low=low, high=high)
        if kind == "int":
            return Integer(int(low), int(high), log=log, step=step, prior=prior)
        return Float(float(low), float(high), log=log, step=step, prior=prior)

    return build


def _normal(written: Written, *, low: float, high: float) -> Normal | None:
    node = written.fields.get("prior")
    if node is None:
        return None
    form = "Write prior: {normal: {mean: ..., std: ...}}; on a log scale std counts powers of ten."
    spec = node.plain()
    normal = spec.get("normal") if isinstance(spec, dict) and set(spec) == {"normal"} else None
    if not isinstance(normal, dict) or set(normal) != {"mean", "std"}:
        raise written.wrong(node, f"prior is {show(spec)}; expected a normal prior.", hint=form)
    mean, std = normal["mean"], normal["std"]
    if not is_number(mean) or not low <= mean <= high:
        problem = f"the prior's mean is {show(mean)}; expected a number from {show(low)} to {show(high)}."
        raise written.wrong(node, problem, hint="Move the mean into the range.")
    if not is_number(std) or std <= 0:
        raise written.wrong(node, f"the prior's std is {show(std)}; expected a positive number.", hint=form)
    return Normal(float(mean), float(std))


# ---------------------------------------------------------------------------------------------------- listed values


def _listed(make: type[Categorical]) -> Builder:
    def build(written: Written) -> Domain:
        node = written.need("range", "range: {resnet, transformer}")
        values = _choice_values(written, node)
        seen = set()
        for value in values:
            if value_key(value) in seen:
                problem = f"the value {show(value)} stands twice in range."
                raise written.wrong(node, problem, hint="Remove one of them.")
            seen.add(value_key(value))
        return make(values, _weights(written, values))

    return build


def _choice_values(written: Written, node: Node) -> tuple[Any, ...]:
    example = "Write, for example: range: {resnet, transformer} or range: [resnet, transformer]"
    if node.entries is not None:
        for item in node.entries:
            if item.node.value is not None or item.node.noun != "a single value":
                problem = f"range is a set of values, but {show(item.key)} is followed by {show(item.node.plain())}."
                raise written.wrong(item.node, problem, hint="Weights go under weights:, branches under submodule:.")
        values = tuple(item.key for item in node.entries)
    elif node.items is not None:
        values = tuple(item.plain() for item in node.items)
    else:
        raise written.wrong(node, f"range is {show(node.value)}; expected a set of values.", hint=example)
    if not values:
        raise written.wrong(node, "range is empty; expected at least one value.", hint=example)
    for value in values:
        if isinstance(value, dict) or (isinstance(value, float) and not math.isfinite(value)):
            raise written.wrong(node, f"{show(value)} in range is not a value to choose.", hint=example)
    if len(values) == 1 and isinstance(values[0], str) and _SPAN.match(values[0]):
        problem = f"{show(values[0])} is a span of numbers, and this type lists its values."
        raise written.wrong(node, problem, hint="Use type: int or type: float, or list the values.")
    return values


def _weights(written: Written, values: tuple[Any, ...]) -> tuple[float, ...] | None:
    node = written.fields.get("weights")
    prior = written.fields.get("prior")
    if prior is not None:
        inner = prior.get("weights") if prior.entries is not None and len(prior.entries) == 1 else None
        if node is not None or inner is None:
            problem = f"prior is {show(prior.plain())}; listed values take weights, once."
            raise written.wrong(prior, problem, hint="Write weights: [3, 1], one positive number per value.")
        node = inner
    if node is None:
        return None
    spec = node.plain()
    if isinstance(spec, dict):
        named = {label(key): weight for key, weight in spec.items()}
        labels = [label(value) for value in values]
        if stray := [key for key in named if key not in labels]:
            problem = f"weights name {show(stray[0])}, which is not in range."
            raise written.wrong(node, problem, hint=f"The values are {', '.join(labels)}.")
        spec = [named.get(key, 1.0) for key in labels]
    if not isinstance(spec, list) or len(spec) != len(values) or not all(is_number(w) and w > 0 for w in spec):
        problem = f"weights are {show(spec)}; expected {len(values)} positive numbers, one per value."
        raise written.wrong(node, problem, hint="To leave a value out, remove it from range.")
    return tuple(float(weight) for weight in spec)


def _bool(written: Written) -> Domain:
    return Bool(weights=_weights(written, (False, True)))


def _constant(written: Written) -> Domain:
    value = written.need("value", "value: 0.1").plain()
    return Constant((value,))


# ------------------------------------------------------------------------------------------------------------ cells


def _cell(written: Written) -> Domain:
    nodes = written.need("nodes", "nodes: 4")
    count = nodes.value
    if not isinstance(count, int) or isinstance(count, bool) or not 2 <= count <= 20:
        problem = f"nodes is {show(nodes.plain())}; expected an integer from 2 to 20."
        raise written.wrong(nodes, problem, hint="Write nodes: 4")
    node = written.need("operations", "operations: [none, skip_connect, nor_conv_3x3]")
    operations = _choice_values(written, node)
    if not all(isinstance(op, str) for op in operations) or len(set(operations)) < len(operations):
        problem = f"operations are {show(list(operations))}; expected different names."
        raise written.wrong(node, problem, hint="Quote a name that reads as a number or as true or false.")
    special: dict[str, str | None] = {"zero": None, "identity": None}
    for key in special:
        if key in written.fields:
            special[key] = written.fields[key].plain()
            if special[key] not in operations:
                problem = f"{key} is {show(special[key])}; expected one of {', '.join(operations)}."
                raise written.wrong(written.fields[key], problem, hint=f"Leave {key} out if there is none.")
    if special["zero"] is not None and special["zero"] == special["identity"]:
        raise written.wrong(written.fields["identity"], "zero and identity are the same operation.")
    return Cell(count, operations, zero=special["zero"], identity=special["identity"])


# ----------------------------------------------------------------------------------------------------- permutations


def _permutation(written: Written) -> Domain:
    form = "Write, for example: items: [resize, crop, flip]"
    node = written.need("items", "items: [resize, crop, flip]")
    items = _items(node)
    if not FEWEST <= len(items) <= MOST:
        found = f"{len(items)} of them" if len(items) > MOST else show(node.plain())
        problem = f"items is {found}; expected {FEWEST} to {MOST} values to put in order."
        raise written.wrong(node, problem, hint=form)
    seen: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, str | bool) and not is_number(item):
            problem = f"{show(item)} in items is not a name, a number or a bool."
            raise written.wrong(node, problem, hint=form)
        text = label(int(item) if isinstance(item, float) and item.is_integer() else item)
        if text in seen:
            if value_key(item) == value_key(seen[text]):
                raise written.wrong(node, f"the value {show(item)} stands twice in items.", hint="Remove one of them.")
            problem = f"{show(seen[text])} and {show(item)} in items read alike."
            raise written.wrong(node, problem, hint="Give one of them another name.")
        seen[text] = item
    return Permutation(items)


def _items(node: Node) -> tuple[Any, ...]:
    """Return the values of a list or of a set, none for anything else."""
    if node.items is not None:
        return tuple(item.plain() for item in node.items)
    if node.entries is None or any(item.node.plain() is not None for item in node.entries):
        return ()
    return tuple(item.key for item in node.entries)


KINDS: Mapping[str, tuple[tuple[str, ...], Builder]] = {
    "int": (("range", "log", "step", "prior"), _numeric("int")),
    "float": (("range", "log", "step", "prior"), _numeric("float")),
    "choice": (("range", "weights", "prior"), _listed(Choice)),
    "ordinal": (("range", "weights", "prior"), _listed(Ordinal)),
    "bool": (("weights", "prior"), _bool),
    "constant": (("value",), _constant),
    "cell": (("nodes", "operations", "zero", "identity"), _cell),
    "permutation": (("items",), _permutation),
}
"""Each kind's own keys, and what builds its domain from them."""

_OTHER_WORDS = {
    "integer": "int",
    "uniform": "float",
    "real": "float",
    "double": "float",
    "number": "float",
    "loguniform": "float",
    "categorical": "choice",
    "category": "choice",
    "enum": "choice",
    "ordered": "ordinal",
    "boolean": "bool",
    "fixed": "constant",
    "ranking": "permutation",
    "sequence": "permutation",
}
