"""What the structure of a cell says about it: its paths and the neighbourhoods of its operations. Not a model.

Everything is counted on the live edges, those that lie on a way from the input to the output and do not carry zero, so that
cells that compute the same mostly count the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .space.cell import Cell

Edge = tuple[int, int]
Label = tuple[str, ...]

_LONGEST_LIST = 512


def live_edges(cell: Cell, value: Mapping[str, str]) -> dict[Edge, str]:
    """Return the edges that input reaches and that reach the output, with their operations; zero edges carry nothing."""
    open_edges = {(i, j) for j in range(1, cell.nodes) for i in range(j) if value[f"{i}-{j}"] != cell.zero}
    reached, reaching = {0}, {cell.nodes - 1}
    for i, j in sorted(open_edges, key=lambda edge: edge[1]):
        if i in reached:
            reached.add(j)
    for i, j in sorted(open_edges, key=lambda edge: -edge[0]):
        if j in reaching:
            reaching.add(i)
    return {(i, j): value[f"{i}-{j}"] for i, j in sorted(open_edges) if i in reached and j in reaching}


def path_counts(cell: Cell, value: Mapping[str, str]) -> Counter[Label]:
    """Count the live paths from input to output by their operations, in order and without identities.

    The path encoding of White et al. (AAAI 2021), as counts. Cells of so many nodes that they could have more than 512
    different paths keep the 512 most frequent of each node.
    """
    live = live_edges(cell, value)
    arriving: dict[int, Counter[Label]] = {0: Counter({(): 1})}
    for j in range(1, cell.nodes):
        counts: Counter[Label] = Counter()
        for i in range(j):
            operation = live.get((i, j))
            if operation is None:
                continue
            for path, count in arriving[i].items():
                counts[path if operation == cell.identity else (*path, operation)] += count
        if len(counts) > _LONGEST_LIST:
            counts = Counter(dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_LONGEST_LIST]))
        arriving[j] = counts
    return arriving[cell.nodes - 1]


def neighborhood_counts(cell: Cell, value: Mapping[str, str], rounds: int) -> list[Counter[Label]]:
    """Count the live operations, then the operations with what comes before and after them, and so on.

    The features of the Weisfeiler-Lehman kernel (Shervashidze et al., JMLR 2011) with operations as nodes, as Ru et al. (ICLR
    2021) use them for architectures.

    Args:
        cell: The kind of cell.
        value: A cell.
        rounds: How often neighbourhoods grow, at least 0.

    Returns:
        ``rounds + 1`` counters.
    """
    live = live_edges(cell, value)
    labels: dict[Edge, str] = dict(live)
    out: list[Counter[Label]] = [Counter((label,) for label in labels.values())]
    for _ in range(rounds):
        before = {node: sorted(labels[edge] for edge in live if edge[1] == node) for node in range(cell.nodes)}
        after = {node: sorted(labels[edge] for edge in live if edge[0] == node) for node in range(cell.nodes)}
        labels = {
            (i, j): f"{label}({'+'.join(before[i]) or '>'})({'+'.join(after[j]) or '<'})"
            for (i, j), label in labels.items()
        }
        out.append(Counter((label,) for label in labels.values()))
    return out
