"""A search space as a flow network whose capacities are learned, so that the flow through a configuration tells its worth.

Not a strategy (``mf_nas.py``). The edges of a cell have one parallel link per operation, each with a capacity of its own; a
cell chooses one link per edge, and its worth is the largest flow from its input to its output, which is the least capacity of
a cut (Ford and Fulkerson 1956). Parameters outside of cells are links from source to sink, one per value or interval of
values, so that their flows add up.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..space.cell import Cell
from .parzen import Columns

if TYPE_CHECKING:
    from ..space import SearchSpace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LISTED_NODES = 10
"""Cells up to this size have their cuts listed: 256; the cuts of larger ones are found by augmenting paths."""

_INTERVALS = 5
_STEPS = 40
_RATE = 0.5
_SCALE = 1_000_000


@dataclass(frozen=True)
class _Part:
    """The columns of one parameter: a cell's edges, or links from source to sink side by side (one, or one per item)."""

    columns: IntArray
    cell: Cell | None


class Network:
    """The links of a space.

    Args:
        space: The space.

    Attributes:
        zero: Which links carry nothing whatever is learned, a bool ``d x k`` array.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._columns = Columns(space)
        self._parts: list[_Part] = []
        sizes = [
            len(c.prior) if c.prior is not None else min(c.cells or _INTERVALS, _INTERVALS)
            for c in self._columns.columns
        ]
        self.shape = (len(sizes), max(sizes, default=1))
        self.zero = np.zeros(self.shape, dtype=bool)
        for path, places in self._columns.place.items():
            domain = space.parameters[path].domain
            self._parts.append(_Part(np.array(places), domain if isinstance(domain, Cell) else None))
            if isinstance(domain, Cell) and domain.zero is not None:
                self.zero[places, domain.operations.index(domain.zero)] = True
        self._sizes = np.array(sizes, dtype=np.int64)

    def links(self, configs: Sequence[Mapping[str, Any]]) -> IntArray:
        """Return the link that each of `n` configurations takes in each of `d` columns, -1 where it is not active."""
        X = self._columns.encode(configs)
        numbers = np.array([column.prior is None for column in self._columns.columns], dtype=bool)
        scaled = np.where(numbers, np.minimum(np.nan_to_num(X) * self._sizes, self._sizes - 1), np.nan_to_num(X))
        return np.where(np.isnan(X), -1, scaled.astype(np.int64))

    def flow(self, capacity: FloatArray, links: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the largest flow through configurations and the links that limit it.

        Args:
            capacity: The capacities, ``d x k``.
            links: What `links` returned, ``n x d``.

        Returns:
            The flows, ``n``, and the columns of a least cut as 0 or 1, ``n x d``: the gradient by the capacities taken.
        """
        taken = np.where(links >= 0, capacity[np.arange(len(self._sizes)), np.maximum(links, 0)], 0.0)
        flow, limits = np.zeros(len(links)), np.zeros(links.shape)
        for part in self._parts:
            active = links[:, part.columns[0]] >= 0
            if not active.any():
                continue
            inside = taken[np.ix_(np.flatnonzero(active), part.columns)]
            found, cut = (
                (inside.sum(axis=1), np.ones_like(inside)) if part.cell is None else max_flow(part.cell.nodes, inside)
            )
            flow[active] += found
            limits[np.ix_(np.flatnonzero(active), part.columns)] = cut
        return flow, limits

    def fit(self, links: IntArray, worth: FloatArray, *, weights: FloatArray) -> FloatArray:
        """Return capacities with which the flows are near the worths.

        The squared error is lowered by steps along its gradient: a flow grows with the capacities of its least cut only, so
        that each configuration moves the links that limit it, by the weighted mean of the errors of those that they limit.

        Args:
            links: The links of `n` configurations, ``n x d``.
            worth: What their flows are to be, at least 0.
            weights: How much each of them counts, above 0.
        """
        breadth = max(1.0, float((links >= 0).sum(axis=1).mean()))
        capacity = np.where(self.zero, 0.0, 2.0 * float(worth.mean()) / breadth)
        rows = np.broadcast_to(np.arange(links.shape[1]), links.shape)
        for _ in range(_STEPS):
            flow, limits = self.flow(capacity, links)
            share = limits * weights[:, None]
            error, count = np.zeros(self.shape), np.ones(self.shape)
            np.add.at(error, (rows, links), share * (worth - flow)[:, None])
            np.add.at(count, (rows, links), share)
            capacity = np.where(self.zero, 0.0, np.maximum(capacity + _RATE * error / count, 0.0))
        return capacity


def max_flow(nodes: int, capacity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest flow from the first to the last node of complete DAGs, and a least cut.

    Args:
        nodes: The number of nodes, at least 2.
        capacity: The capacities of the edges of `n` DAGs in the order of `Cell.edges`, ``n x e``.

    Returns:
        The flows, ``n``, and the edges of a least cut as 0 or 1, ``n x e``.
    """
    if nodes > LISTED_NODES:
        found = [_augmented(nodes, row) for row in capacity]
        return np.array([flow for flow, _ in found]), np.array([cut for _, cut in found])
    cuts = _cuts(nodes)
    through = capacity @ cuts.T
    least = through.argmin(axis=1)
    return through[np.arange(len(through)), least], cuts[least]


def _edges(nodes: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(1, nodes) for i in range(j)]


@lru_cache(maxsize=8)
def _cuts(nodes: int) -> FloatArray:
    """Return the edges from the source's side to the other of every cut, ``2^(nodes - 2) x e``."""
    sides = [(True, *inner, False) for inner in itertools.product((False, True), repeat=nodes - 2)]
    return np.array([[float(side[i] and not side[j]) for i, j in _edges(nodes)] for side in sides])


def _augmented(nodes: int, capacity: FloatArray) -> tuple[float, FloatArray]:
    """Return flow and cut by Dinic's algorithm on capacities in millionths."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    edges = _edges(nodes)
    whole = np.minimum(np.rint(capacity * _SCALE), 2**30 // max(1, nodes)).astype(np.int32)
    table = np.zeros((nodes, nodes), dtype=np.int32)
    for (i, j), amount in zip(edges, whole, strict=True):
        table[i, j] = amount
    found = maximum_flow(csr_array(table), 0, nodes - 1)
    left = table - found.flow.toarray()
    reached = np.zeros(nodes, dtype=bool)
    reached[breadth_first_order(csr_array(left), 0, return_predecessors=False)] = True
    cut = np.array([float(reached[i] and not reached[j]) for i, j in edges])
    return float(capacity @ cut), cut
