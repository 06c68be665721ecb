"""A search space as a list of plain columns, for libraries that know neither cells, orders nor our conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omniforge.search import SearchSpace


@dataclass(frozen=True)
class Column:
    """One number or one choice.

    Args:
        name: Unique.
        kind: ``"float"``, ``"int"`` or ``"choice"``.
        low: The least value of a number.
        high: The largest.
        log: Whether its scale is logarithmic.
        values: Of a choice.
        parameter: The parameter it belongs to, from our space.
    """

    name: str
    kind: str
    parameter: Any
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    values: tuple[Any, ...] = ()


def columns(space: SearchSpace) -> Iterator[Column]:
    """Yield the columns, those that others depend on first; a cell is one choice per edge, an order one key per item."""
    for path, parameter in space.parameters.items():
        domain: Any = parameter.domain
        if parameter.kind == "cell":
            for edge in domain.edges:
                yield Column(f"{path}[{edge}]", "choice", parameter, values=tuple(domain.operations))
        elif parameter.kind == "permutation":
            for item in domain.labels:
                yield Column(f"{path}[{item}]", "float", parameter)
        elif parameter.kind in ("int", "float"):
            yield Column(path, parameter.kind, parameter, low=domain.low, high=domain.high, log=domain.log)
        elif parameter.kind != "constant":
            yield Column(path, "choice", parameter, values=tuple(domain.values))


def unflatten(space: SearchSpace, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that columns stand for; those of inactive parameters are passed over or may lack."""
    config: dict[str, Any] = {}
    for path, parameter in space.parameters.items():
        if not parameter.active(config):
            continue
        domain: Any = parameter.domain
        if parameter.kind == "cell":
            config[path] = {edge: values[f"{path}[{edge}]"] for edge in domain.edges}
        elif parameter.kind == "permutation":
            config[path] = domain.decode([float(values[f"{path}[{item}]"]) for item in domain.labels])
        elif parameter.kind == "constant":
            config[path] = domain.default()
        elif parameter.kind == "int":
            config[path] = int(values[path])
        elif parameter.kind == "float":
            config[path] = min(max(float(values[path]), domain.low), domain.high)
        else:
            config[path] = values[path]
    return config
