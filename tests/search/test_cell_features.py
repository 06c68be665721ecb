from __future__ import annotations

from collections import Counter

import pytest

from omniforge.search.cell_features import live_edges, neighborhood_counts, path_counts
from omniforge.search.space.cell import Cell

CELL = Cell(4, ("none", "skip", "conv", "pool"), zero="none", identity="skip")


def cell(**edges: str) -> dict[str, str]:
    """Edges by name, such as ``e01="conv"``; the others carry nothing."""
    return dict.fromkeys(CELL.edges, "none") | {f"{name[1]}-{name[2]}": operation for name, operation in edges.items()}


def test_live_edges_lie_on_a_way_from_input_to_output() -> None:
    value = cell(e01="conv", e03="pool", e23="conv", e12="none", e02="none")
    assert live_edges(CELL, value) == {(0, 3): "pool"}
    assert live_edges(CELL, value | {"1-3": "skip"}) == {(0, 1): "conv", (0, 3): "pool", (1, 3): "skip"}
    assert live_edges(CELL, cell()) == {}


def test_paths_pass_over_identities() -> None:
    value = cell(e01="conv", e13="skip", e03="conv", e02="pool", e23="conv")
    assert path_counts(CELL, value) == Counter({("conv",): 2, ("pool", "conv"): 1})
    assert path_counts(CELL, cell(e03="skip")) == Counter({(): 1})
    assert path_counts(CELL, cell()) == Counter()


def test_isomorphic_cells_have_the_same_features() -> None:
    one = cell(e01="conv", e13="pool", e02="skip", e23="conv")
    other = cell(e02="conv", e23="pool", e01="skip", e13="conv")
    assert CELL.canonical(one) == CELL.canonical(other)
    assert path_counts(CELL, one) == path_counts(CELL, other)
    assert neighborhood_counts(CELL, one, 2) == neighborhood_counts(CELL, other, 2)


def test_neighbourhoods_tell_apart_what_counts_of_operations_do_not() -> None:
    row = cell(e01="conv", e13="pool")
    swapped = cell(e01="pool", e13="conv")
    ops, around = neighborhood_counts(CELL, row, 1)
    assert ops == neighborhood_counts(CELL, swapped, 1)[0] == Counter({("conv",): 1, ("pool",): 1})
    assert around == Counter({("conv(>)(pool)",): 1, ("pool(conv)(<)",): 1})
    assert around != neighborhood_counts(CELL, swapped, 1)[1]


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_there_is_a_counter_per_round(rounds: int) -> None:
    assert len(neighborhood_counts(CELL, cell(e03="conv"), rounds)) == rounds + 1


def test_large_cells_stay_bounded() -> None:
    big = Cell(14, ("a", "b", "c"), zero=None, identity=None)
    value = {edge: "abc"[(3 * k * k + k) % 7 % 3] for k, edge in enumerate(big.edges)}
    assert 0 < len(path_counts(big, value)) <= 512
