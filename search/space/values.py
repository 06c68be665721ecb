"""Values of parameters: how they compare, how they read in a path and in a message. Not their domains."""

from __future__ import annotations

import copy
import json
from collections.abc import Hashable, Mapping
from typing import Any, Final

Config = dict[str, Any]
"""A configuration: the path of each ACTIVE parameter to its JSON value."""


class _Absent:
    """The type of `ABSENT`, which no configuration holds."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def value_key(value: Any) -> Hashable:
    """Return what two values share exactly when they are the same value.

    Numbers compare by size (``64`` is ``64.0``), booleans are not numbers, lists compare by items.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return (True, value)
    if isinstance(value, list | tuple):
        return ("list", tuple(value_key(item) for item in value))
    if isinstance(value, dict):
        return ("map", tuple(sorted((str(k), value_key(v)) for k, v in value.items())))
    return (False, value)


def same(left: Any, right: Any) -> bool:
    """Say whether two values are one value."""
    return value_key(left) == value_key(right)


def is_number(value: Any) -> bool:
    """Say whether ``value`` is a finite number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e308 <= value <= 1e308


def plain_number(value: Any) -> int | float | None:
    """Return an int, a float or a numpy scalar as a plain number, None for anything else, booleans included."""
    if hasattr(value, "dtype") and hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def plain(value: Any) -> Any:
    """Return a value as JSON has it: scalars of numpy become Python's, also within lists and mappings."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value


def label(value: Any) -> str:
    """Return ``value`` as it reads in a path: ``resnet``, ``64``, ``true``."""
    return value if isinstance(value, str) else json.dumps(value)


def show(value: Any) -> str:
    """Return ``value`` as a message prints it, cut at 80 characters."""
    if isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, str):
        text = repr(value)
    elif value is None or isinstance(value, bool):
        text = json.dumps(value)
    elif isinstance(value, float):
        text = f"{value:.12g}"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def fresh(value: Any) -> Any:
    """Return ``value``, copied when a caller could change it in place."""
    return copy.deepcopy(value) if isinstance(value, list | dict) else value
