"""Configurations of a space as rows of a tensor, and back. Not a model of them.

One column per parameter that can vary, in the order of ``space.parameters``; a cell has one column per edge, a
permutation one per item, a constant none:

- an int, a float or an ordinal lies in [0, 1] on its own scale (log where it has one), whatever its prior;
- an item of a permutation is its place, from first (0) to last (1); any numbers are read as an order, by size;
- a choice or a bool is the index of its value, 0 to k - 1, and so is an edge of a cell (the index of its operation).

A column of a parameter that is not active holds the encoding of its default, so that it says nothing about the
configuration; `Encoding.activity` tells such columns apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import SpaceError
from .space import Config, Parameter, SearchSpace
from .space.cell import Cell
from .space.configure import walk
from .space.domain import Categorical, Constant, Ordinal
from .space.numeric import Numeric
from .space.permutation import Permutation
from .space.values import ABSENT, value_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True)
class _Block:
    """The columns of one parameter."""

    parameter: Parameter
    start: int
    stop: int
    imputed: tuple[float, ...]


class Encoding:
    """The columns of a space's configurations.

    Args:
        space: The space; spaces that are equal but declared in another order have their columns in another order.

    Attributes:
        d: The number of columns.
        bounds: A `2 x d`-dim float64 Tensor, the lowest and the highest value of each column.
        categorical_dims: The columns that hold an index without an order.
        integer_dims: The columns in [0, 1] that only take some values (ints, ordinals, floats with a step, places).
        place_dims: The columns in [0, 1] that hold the place of an item in a permutation, which depend on each other.
        cardinalities: Column to number of values, for the columns in the two lists above.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._blocks = _blocks(space)
        self.d = self._blocks[-1].stop if self._blocks else 0
        self.cardinalities: dict[int, int] = {}
        self.categorical_dims: list[int] = []
        self.integer_dims: list[int] = []
        self.place_dims: list[int] = []
        high = torch.ones(self.d, dtype=torch.float64)
        for block in self._blocks:
            for column in range(block.start, block.stop):
                size = _cardinality(block.parameter)
                if size is None:
                    continue
                self.cardinalities[column] = size
                if isinstance(block.parameter.domain, Permutation):
                    self.place_dims.append(column)
                if isinstance(block.parameter.domain, Numeric | Ordinal | Permutation):
                    self.integer_dims.append(column)
                else:
                    self.categorical_dims.append(column)
                    high[column] = size - 1
        self.bounds: Tensor = torch.stack([torch.zeros_like(high), high])

    @cached_property
    def names(self) -> list[str]:
        """What each column stands for: the path of its parameter, and the edge in a cell or the item of a permutation."""
        return [name for block in self._blocks for name in _names(block.parameter)]

    @cached_property
    def columns(self) -> dict[str, list[int]]:
        """The columns of each parameter that has any, by path."""
        return {block.parameter.path: list(range(block.start, block.stop)) for block in self._blocks}

    @cached_property
    def imputed(self) -> Tensor:
        """What the columns hold where they are not active; a `d`-dim float64 Tensor."""
        return torch.tensor([value for block in self._blocks for value in block.imputed], dtype=torch.float64)

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> Tensor:
        """Return configurations as rows.

        Args:
            configs: `n` valid configurations.

        Returns:
            A `n x d`-dim float64 Tensor.

        Raises:
            SpaceError: A value is not one of its parameter's.
        """
        out = np.tile(self.imputed.numpy(), (len(configs), 1))
        for block in self._blocks:
            path = block.parameter.path
            rows = [i for i, config in enumerate(configs) if path in config]
            if rows:
                values = [configs[i][path] for i in rows]
                try:
                    out[rows, block.start : block.stop] = _encode_column(block.parameter, values)
                except (KeyError, ValueError, TypeError) as e:
                    expected = block.parameter.domain.expected()
                    raise SpaceError(f"{path}: a value cannot be encoded; expected {expected}.") from e
        return torch.from_numpy(out)

    def activity(self, configs: Sequence[Mapping[str, Any]]) -> Tensor:
        """Say which columns are active in which of `n` configurations; a `n x d`-dim bool Tensor."""
        out = np.zeros((len(configs), self.d), dtype=bool)
        for block in self._blocks:
            path = block.parameter.path
            out[:, block.start : block.stop] = np.array([path in config for config in configs], dtype=bool)[:, None]
        return torch.from_numpy(out)

    def decode(self, X: Tensor) -> list[Config]:
        """Return rows as configurations, always valid ones.

        Values are rounded to the nearest allowed ones, the columns of a permutation put its items in order by their size, and
        columns that are not active are ignored; a configuration that a rule forbids gives way to the nearest allowed one
        (`SearchSpace.repair`).

        Args:
            X: A `n x d`-dim Tensor; values out of bounds are clamped.

        Raises:
            SpaceError: ``X`` has another shape, holds NaN, or the rules leave nothing near.
        """
        return self._build(X, _decode_value)

    def quantiles(self, U: Tensor) -> list[Config]:
        """Return points of the unit cube as configurations drawn from the priors, as a quasi-random design needs it.

        Uniform points give configurations distributed like those of `SearchSpace.sample`, but for repaired ones.

        Args:
            U: A `n x d`-dim Tensor with values in [0, 1).

        Raises:
            SpaceError: ``U`` has another shape, holds NaN, or the rules leave nothing near.
        """
        return self._build(U, _value_at)

    def project(self, X: Tensor) -> Tensor:
        """Return the encoding of the configurations that `decode` gives; a `n x d`-dim float64 Tensor."""
        return self.encode(self.decode(X))

    def _build(self, X: Tensor, read: Callable[[Parameter, list[float]], Any]) -> list[Config]:
        if X.ndim != 2 or X.shape[1] != self.d:
            raise SpaceError(f"The tensor has the shape {tuple(X.shape)}; expected n x {self.d}.")
        rows = X.detach().to(device="cpu", dtype=torch.float64)
        if not bool(torch.isfinite(rows).all()):
            raise SpaceError("The tensor holds NaN or infinity; expected finite numbers.")
        place = {block.parameter.path: (block.start, block.stop) for block in self._blocks}
        out = []
        for row in rows.tolist():

            def choose(parameter: Parameter, row: list[float] = row) -> Any:
                start, stop = place.get(parameter.path, (0, 0))
                return read(parameter, row[start:stop])

            out.append(self.space.repair(walk(self.space, choose)))
        return out


def _blocks(space: SearchSpace) -> list[_Block]:
    blocks, start = [], 0
    for parameter in space.parameters.values():
        domain = parameter.domain
        if isinstance(domain, Constant):
            continue
        width = len(_names(parameter))
        imputed = tuple(float(value) for value in np.ravel(_encode_column(parameter, [parameter.default])))
        blocks.append(_Block(parameter, start, start + width, imputed))
        start += width
    return blocks


def _names(parameter: Parameter) -> list[str]:
    """Return the names of the columns of a parameter that has any."""
    domain, path = parameter.domain, parameter.path
    if isinstance(domain, Cell):
        return [f"{path}[{edge}]" for edge in domain.edges]
    return [f"{path}[{item}]" for item in domain.labels] if isinstance(domain, Permutation) else [path]


def _cardinality(parameter: Parameter) -> int | None:
    domain = parameter.domain
    if isinstance(domain, Cell):
        return len(domain.operations)
    if isinstance(domain, Permutation):
        return len(domain.items)
    if isinstance(domain, Numeric):
        return domain.count
    return len(domain.values) if isinstance(domain, Categorical) else None


def _encode_column(parameter: Parameter, values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return `n` values as a `n x width` array."""
    domain = parameter.domain
    if isinstance(domain, Cell):
        return np.array([domain.encode(value) for value in values], dtype=np.float64)
    if isinstance(domain, Permutation):
        return np.array([domain.encode(value) for value in values], dtype=np.float64) / (len(domain.items) - 1)
    if isinstance(domain, Categorical):
        index = {value_key(value): float(i) for i, value in enumerate(domain.values)}
        column = np.array([index[value_key(value)] for value in values], dtype=np.float64)
        last = len(domain.values) - 1
        return (column / last if isinstance(domain, Ordinal) and last else column)[:, None]
    if not isinstance(domain, Numeric):
        raise TypeError(f"no encoding for {domain.kind}")
    column = np.asarray(values, dtype=np.float64)
    if np.any((column < domain.low) | (column > domain.high) | np.isnan(column)):
        raise ValueError("out of range")
    start, end = domain.warp(domain.low), domain.warp(domain.last)
    if end <= start:
        return np.zeros((len(column), 1))
    warped = np.log10(column) if domain.log else column
    return np.asarray(np.clip((warped - start) / (end - start), 0.0, 1.0))[:, None]


def _decode_value(parameter: Parameter, row: list[float]) -> Any:
    domain = parameter.domain
    if isinstance(domain, Numeric | Ordinal):
        return domain.from_unit(row[0])
    if isinstance(domain, Cell):
        last = len(domain.operations) - 1
        return domain.decode([min(max(round(value), 0), last) for value in row])
    if isinstance(domain, Permutation):
        return domain.decode(row)
    if isinstance(domain, Constant):
        return domain.default()
    if isinstance(domain, Categorical):
        return domain.normalize(domain.values[min(max(round(row[0]), 0), len(domain.values) - 1)])
    return ABSENT


def _value_at(parameter: Parameter, row: list[float]) -> Any:
    domain = parameter.domain
    if isinstance(domain, Cell):
        count = len(domain.operations)
        return domain.decode([min(max(int(u * count), 0), count - 1) for u in row])
    if isinstance(domain, Permutation):
        return domain.decode(row)
    if isinstance(domain, Constant):
        return domain.default()
    if isinstance(domain, Numeric | Categorical):
        return domain.quantile(min(max(row[0], 0.0), 1.0 - 1e-16))
    return ABSENT
