"""A configuration as the nested mapping that its submodules draw, and back.

A parameter without a submodule is its value. One with a submodule is a mapping: ``{"value": 2, "items": [{...}, ...]}``
for an int (one item per index) and ``{"value": "resnet", "params": {...}}`` for a choice, an ordinal or a bool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import SpaceError
from .declaration import Declaration
from .values import Config, fresh, label, same, show

if TYPE_CHECKING:
    from .space import SearchSpace


def nest(space: SearchSpace, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` as a nested mapping; parameters that are not active are left out."""
    return _group(space.declarations, config, prefix="")


def _group(group: Sequence[Declaration], config: Mapping[str, Any], *, prefix: str) -> dict[str, Any]:
    return {item.name: _one(item, config, path=prefix + item.name) for item in group if prefix + item.name in config}


def _one(item: Declaration, config: Mapping[str, Any], *, path: str) -> Any:
    value = fresh(config[path])
    if item.children:
        return {
            "value": value,
            "items": [_group(item.children, config, prefix=f"{path}[{i}].") for i in range(int(value))],
        }
    if item.branches:
        inside = next((group for branch, group in item.branches if same(branch, value)), ())
        return {"value": value, "params": _group(inside, config, prefix=f"{path}.{label(value)}.")}
    return value


def flatten(space: SearchSpace, nested: Mapping[str, Any]) -> Config:
    """Invert `nest`; the result is not validated.

    Raises:
        SpaceError: A parameter with a submodule is not a mapping with value and items or params.
    """
    out: Config = {}
    _flatten_group(space.declarations, nested, prefix="", out=out)
    return out


def _flatten_group(group: Sequence[Declaration], nested: Mapping[str, Any], *, prefix: str, out: Config) -> None:
    by_name = {item.name: item for item in group}
    for name, view in nested.items():
        path, item = f"{prefix}{name}", by_name.get(name)
        if item is None or not item.nested:
            out[path] = fresh(view)
            continue
        inner = "items" if item.children else "params"
        if not isinstance(view, Mapping) or "value" not in view:
            raise SpaceError(
                f"{path}: {show(view)} is not a nested value.", hint=f"Write {{value: ..., {inner}: ...}}."
            )
        out[path] = fresh(view["value"])
        if item.children:
            for i, below in enumerate(view.get("items", ())):
                _flatten_group(item.children, below, prefix=f"{path}[{i}].", out=out)
        else:
            inside = next((found for branch, found in item.branches if same(branch, view["value"])), ())
            _flatten_group(inside, view.get("params", {}), prefix=f"{path}.{label(view['value'])}.", out=out)
