from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.search import SearchSpace
from omniforge.search.space.cell import Cell

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
CELL = Cell(4, OPERATIONS, zero="none", identity="skip_connect")
SPACE = SearchSpace.from_yaml(
    "arch: {type: cell, nodes: 4, operations: [none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3], "
    "zero: none, identity: skip_connect}"
)


def cell(*operations: str) -> dict[str, str]:
    return dict(zip(EDGES, operations, strict=True))


def nas_bench_201_string(value: dict[str, str], *, zero: bool) -> str:
    """Compute the benchmark's unique string, as its authors describe it."""
    nodes = {0: "0"}
    for j in range(1, 4):
        terms = []
        for i in range(j):
            operation = value[f"{i}-{j}"]
            if zero and (operation == "none" or nodes[i] == "#"):
                terms.append("#")
            elif operation == "skip_connect":
                terms.append(nodes[i])
            else:
                terms.append(f"({nodes[i]})@{operation}")
        nodes[j] = "+".join(sorted(terms))
    return nodes[3]


def test_the_value_is_a_mapping_from_edges_to_operations():
    config = SPACE.sample(np.random.default_rng(0))
    assert tuple(config["arch"]) == EDGES
    assert set(config["arch"].values()) <= set(OPERATIONS)
    SPACE.validate(config)
    assert SPACE.size() == 5**6


@pytest.mark.oracle
def test_equal_nas_bench_201_strings_are_equal_cells():
    ours: dict[str, set[str]] = {}
    canonical = set()
    for operations in itertools.product(OPERATIONS, repeat=6):
        value = cell(*operations)
        form = CELL.canonical(value)
        canonical.add(form)
        ours.setdefault(nas_bench_201_string(value, zero=True), set()).add(form)
    assert len(ours) == 6466  # the count that the paper gives
    assert all(len(forms) == 1 for forms in ours.values())
    assert len(canonical) == 4930


def numeric_output(value: dict[str, str], x: float) -> float:
    """Run a cell with invertible stand-ins for its operations."""
    run = {
        "none": lambda _: 0.0,
        "skip_connect": lambda v: v,
        "nor_conv_1x1": lambda v: 3.0 * v + v * v,
        "nor_conv_3x3": lambda v: 5.0 * v - v**3,
        "avg_pool_3x3": lambda v: 0.7 * v + 2 * v**2,
    }
    nodes = [x]
    for j in range(1, 4):
        nodes.append(sum(run[value[f"{i}-{j}"]](nodes[i]) for i in range(j)))
    return nodes[-1]


@pytest.mark.oracle
@given(st.integers(0, 5**6 - 1), st.integers(0, 5**6 - 1))
def test_cells_are_equal_exactly_when_they_compute_the_same(first, second):
    cells = [cell(*(OPERATIONS[k // 5**e % 5] for e in range(6))) for k in (first, second)]
    outputs = [[numeric_output(value, x) for x in (0.11, 0.23, -0.17)] for value in cells]
    assert (CELL.canonical(cells[0]) == CELL.canonical(cells[1])) == np.allclose(*outputs, rtol=1e-9, atol=1e-12)


def test_config_hash_compares_up_to_isomorphism():
    conv, none, skip = "nor_conv_3x3", "none", "skip_connect"
    through_one = {"arch": cell(conv, none, none, none, skip, none)}
    through_two = {"arch": cell(none, conv, none, none, none, skip)}
    direct = {"arch": cell("avg_pool_3x3", none, none, conv, none, none)}
    pooled = {"arch": cell(none, none, none, "avg_pool_3x3", none, none)}
    assert SPACE.config_hash(through_one) == SPACE.config_hash(through_two) == SPACE.config_hash(direct)
    assert SPACE.config_hash(direct) != SPACE.config_hash(pooled)


def test_operations_on_what_nothing_reaches_do_not_matter():
    dead = [cell("none", "none", "none", "skip_connect", op, op) for op in OPERATIONS]
    assert len({CELL.canonical(value) for value in dead}) == 1


def test_without_zero_and_identity_every_operation_counts():
    plain = Cell(3, ("none", "skip_connect"))
    assert len({plain.canonical(value) for value in plain.every()}) > 4


def test_large_cells_keep_a_small_canonical_form():
    big = Cell(12, OPERATIONS[2:])
    value = big.sample(np.random.default_rng(0))
    assert len(big.canonical(value)) < 12 * 401
    other = big.mutate(value, np.random.default_rng(1))
    assert big.canonical(other) != big.canonical(value)


def test_mutation_changes_one_edge():
    g = np.random.default_rng(0)
    value = CELL.sample(g)
    for _ in range(50):
        other = CELL.mutate(value, g)
        assert sum(other[edge] != value[edge] for edge in EDGES) == 1
    assert Cell(2, ("conv",)).mutate({"0-1": "conv"}, g) == {"0-1": "conv"}


def test_indices_round_trip():
    value = CELL.sample(np.random.default_rng(0))
    assert CELL.decode(CELL.encode(value)) == value
    assert len(list(CELL.alternatives(value))) == 6 * 4
    assert len(list(Cell(3, ("a", "b")).every())) == 8


@pytest.mark.parametrize(
    "value",
    [{}, "nor_conv_3x3", None, cell(*["conv"] * 6), {**cell(*["none"] * 6), "3-4": "none"}, cell(*[["none"]] * 6)],
)
def test_what_is_not_a_cell(value):
    assert not CELL.contains(value)


def test_the_default_computes_something():
    assert set(CELL.default().values()) == {"nor_conv_1x1"}
    assert set(Cell(2, ("none",), zero="none").default().values()) == {"none"}
