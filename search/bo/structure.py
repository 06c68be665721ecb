"""Features of what single columns do not say: graphs of cells, orders, and how often a value occurs among like parameters.

Rows in, features out; which features there are depends on the space alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..cell_features import live_edges, neighborhood_counts, path_counts
from ..space.cell import Cell
from ..space.domain import Categorical, Ordinal
from ..space.permutation import Permutation
from ..space.values import value_key
from .orders import KINDS, OrderFeatures

if TYPE_CHECKING:
    from torch import Tensor

    from .rows import Rows

_FEWEST_ALIKE = 3
_MOST_COLUMNS = 2048
_ROUNDS = 1

Counts = Callable[[Any], list[Counter[Any]]]


class CountFeatures:
    """Counters of cells as vectors, computed once per cell.

    A feature gets the next free column when it is first seen; beyond 2,048 they share columns. Values are ``log(1 + count)``.

    Args:
        count: Returns the counters of a row of codes; always as many.
        kinds: How many.
    """

    def __init__(self, count: Counts, kinds: int) -> None:
        self._count = count
        self._index: dict[bytes, int] = {}
        self._columns: list[dict[Any, int]] = [{} for _ in range(kinds)]
        self._tables = [np.zeros((64, 16)) for _ in range(kinds)]

    def __call__(self, codes: Tensor) -> list[Tensor]:
        """Return the features of `n x e` codes, one `n x d_k`-dim Tensor per kind; ``d_k`` grows with what is seen."""
        positions = [self._position(row) for row in codes.detach().numpy().astype(np.int16)]
        widths = [max(1, min(len(columns), _MOST_COLUMNS)) for columns in self._columns]
        return [torch.from_numpy(table[positions, :width]) for table, width in zip(self._tables, widths, strict=True)]

    def _position(self, row: Any) -> int:
        key = row.tobytes()
        position = self._index.get(key)
        if position is None:
            position = self._index[key] = len(self._index)
            for kind, counter in enumerate(self._count(row)):
                self._write(kind, position, counter)
        return position

    def _write(self, kind: int, position: int, counter: Counter[Any]) -> None:
        columns = self._columns[kind]
        for feature in sorted(counter):
            columns.setdefault(feature, len(columns) % _MOST_COLUMNS)
        table = self._tables[kind]
        while position >= table.shape[0] or min(len(columns), _MOST_COLUMNS) > table.shape[1]:
            grow = [(0, table.shape[0] if position >= table.shape[0] else 0)]
            grow.append((0, table.shape[1] if min(len(columns), _MOST_COLUMNS) > table.shape[1] else 0))
            table = self._tables[kind] = np.pad(table, grow)
        for feature, count in counter.items():
            table[position, columns[feature]] += count
        np.log1p(table[position], out=table[position])


class LiveCodes:
    """The codes of cells with zero on the edges that are not live, computed once per cell.

    Args:
        cell: A kind of cell that has a zero operation.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._known: dict[bytes, list[int]] = {}

    def __call__(self, codes: Tensor) -> Tensor:
        """Return `n x e` codes of the same shape; those of cells that are not active stay."""
        return torch.tensor([self._row(row) for row in codes.detach().numpy().astype(np.int16)], dtype=codes.dtype)

    def _row(self, row: Any) -> list[int]:
        key = row.tobytes()
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = [int(code) for code in row] if min(row) < 0 else self._zeroed(row)
        return found

    def _zeroed(self, row: Any) -> list[int]:
        value = self._cell.decode([int(code) for code in row])
        live = {f"{i}-{j}": operation for (i, j), operation in live_edges(self._cell, value).items()}
        return self._cell.encode({edge: live.get(edge, str(self._cell.zero)) for edge in self._cell.edges})


class Structure:
    """The features of a space's rows.

    For each cell they are its paths, its live operations and their neighbourhoods; for the edges of a cell and for each group
    of three or more categorical parameters with the same values, how often each value occurs; for each permutation, what
    `orders` says of it.

    Args:
        rows: The space's rows.

    Attributes:
        count: The number of blocks of features.
        items: The number of items of all permutations.
        owners: For the blocks of permutations, the two items that each feature is of, a `2 x d_k`-dim Tensor by block.
        columns: The columns that are part of any structure.
    """

    def __init__(self, rows: Rows) -> None:
        self._cells: list[tuple[list[int], CountFeatures]] = []
        self._groups: list[tuple[Tensor, Tensor]] = []
        self._live: list[tuple[list[int], LiveCodes]] = []
        self._orders: list[tuple[list[int], OrderFeatures]] = []
        alike: dict[Any, list[int]] = {}
        for path, columns in rows.encoding.columns.items():
            domain = rows.space.parameters[path].domain
            if isinstance(domain, Cell):
                self._cells.append((columns, CountFeatures(_counter(domain), _ROUNDS + 2)))
                self._groups.append(_group(columns, len(domain.operations)))
                if domain.zero is not None:
                    self._live.append((columns, LiveCodes(domain)))
            elif isinstance(domain, Permutation):
                self._orders.append((columns, OrderFeatures(len(columns))))
            elif isinstance(domain, Categorical) and not isinstance(domain, Ordinal):
                alike.setdefault(tuple(value_key(value) for value in domain.values), []).extend(columns)
        for values, columns in alike.items():
            if len(columns) >= _FEWEST_ALIKE and len(values) > 1:
                self._groups.append(_group(columns, len(values)))
        self.columns = {column for columns, _ in self._cells for column in columns}
        self.columns |= {column for columns, _ in self._groups for column in columns.tolist()}
        self.columns |= {column for columns, _ in self._orders for column in columns}
        self.count = len(self._cells) * (_ROUNDS + 2) + len(self._groups) + len(self._orders) * KINDS
        self.items = sum(len(columns) for columns, _ in self._orders)
        starts = itertools.accumulate((len(columns) for columns, _ in self._orders), initial=0)
        first = self.count - len(self._orders) * KINDS
        owners = [
            owner + start for start, (_, order) in zip(starts, self._orders, strict=False) for owner in order.owners
        ]
        self.owners = dict(enumerate(owners, start=first))

    def live(self, X: Tensor) -> Tensor:
        """Return `(b) x n x d` rows in which the edges of cells that do not matter carry zero."""
        if not self._live:
            return X
        flat = X.reshape(-1, X.shape[-1]).clone()
        for columns, codes in self._live:
            flat[:, columns] = codes(flat[:, columns]).to(flat)
        return flat.reshape(X.shape)

    def __call__(self, X: Tensor) -> list[Tensor]:
        """Return the features of `(b) x n x d` rows, one `(b) x n x d_k`-dim Tensor per block."""
        flat = X.detach().reshape(-1, X.shape[-1])
        out: list[Tensor] = []
        for columns, features in self._cells:
            out += features(flat[:, columns])
        for places, codes in self._groups:
            out.append((flat[:, places, None] == codes).sum(dim=1).to(flat))
        for columns, orders in self._orders:
            out += orders(flat[:, columns])
        return [block.reshape(*X.shape[:-1], -1) for block in out]


def _group(columns: Sequence[int], values: int) -> tuple[Tensor, Tensor]:
    return torch.tensor(columns), torch.arange(values, dtype=torch.float64)


def _counter(cell: Cell) -> Counts:
    def count(row: Sequence[int]) -> list[Counter[Any]]:
        if min(row) < 0:  # the cell is not active
            return [Counter() for _ in range(_ROUNDS + 2)]
        value = cell.decode([int(code) for code in row])
        return [path_counts(cell, value), *neighborhood_counts(cell, value, _ROUNDS)]

    return count
