from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.structure import CountFeatures, Structure

OPERATIONS = ["none", "skip", "conv", "pool"]
CELL = {"type": "cell", "nodes": 4, "operations": OPERATIONS, "zero": "none", "identity": "skip"}


def rows_of(**parameters: dict[str, object]) -> Rows:
    return Rows(SearchSpace.from_dict(parameters))


def test_a_cell_has_blocks_for_paths_neighbourhoods_and_operations() -> None:
    rows = rows_of(arch=CELL, lr={"type": "float", "range": [0.0, 1.0]})
    X = rows.encode(rows.space.sample_many(5, np.random.default_rng(0)))
    blocks = rows.structure(X)
    assert rows.structure.count == len(blocks) == 4
    assert rows.structure.columns == set(rows.encoding.columns["arch"])
    assert [len(block) for block in blocks] == [5, 5, 5, 5]
    stacked = rows.structure(X[None, :, :].expand(2, 5, -1))
    assert [block.shape[:2] for block in stacked] == [(2, 5)] * 4
    assert all(torch.equal(a, b[1]) for a, b in zip(blocks, stacked, strict=True))


def test_features_of_a_row_do_not_depend_on_what_was_seen_before() -> None:
    one, other = rows_of(arch=CELL), rows_of(arch=CELL)
    configs = one.space.sample_many(40, np.random.default_rng(1))
    X = one.encode(configs)
    for row in X:
        one.structure(row[None])
    for a, b in zip(one.structure(X), other.structure(X.flip(0)), strict=True):
        assert a.shape == b.shape
        assert torch.allclose(torch.cdist(a, a), torch.cdist(b.flip(0), b.flip(0)), atol=1e-6)


def test_parameters_with_the_same_values_are_counted_together() -> None:
    choice = {"type": "choice", "range": ["x", "y"]}
    rows = rows_of(a=choice, b=choice, c=choice, other={"type": "choice", "range": ["u", "v"]}, d=choice)
    (block,) = rows.structure(rows.encode([{"a": "x", "b": "y", "c": "y", "d": "y", "other": "u"}]))
    assert block.tolist() == [[1.0, 3.0]]
    assert rows_of(a=choice, b=choice).structure.count == 0


def test_a_cell_that_is_not_active_counts_nothing() -> None:
    rows = rows_of(kind={"type": "choice", "range": ["cnn", "none"], "submodule": {"cnn": {"arch": CELL}}})
    cnn = {"kind": "cnn", "kind.cnn.arch": dict.fromkeys(["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"], "conv")}
    blocks = rows.structure(rows.encode([cnn, {"kind": "none"}]))
    assert all(float(block[0].sum()) > 0 for block in blocks)
    assert all(float(block[1].sum()) == 0 for block in blocks)


def test_columns_are_shared_beyond_the_most() -> None:
    features = CountFeatures(lambda row: [{int(k): 1 for k in range(row[0] * 100, row[0] * 100 + 100)}], 1)  # type: ignore[list-item,return-value]
    (block,) = features(torch.arange(30)[:, None])
    assert block.shape == (30, 2048)
    assert block.exp().sub(1).sum().item() == pytest.approx(3000)


def test_edges_that_do_not_matter_carry_zero() -> None:
    rows = rows_of(arch=CELL)
    value = dict.fromkeys(["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"], "conv") | {"1-2": "none", "1-3": "none"}
    X = rows.encode([{"arch": value}, {"arch": value | {"0-1": "pool"}}])
    live = rows.structure.live(X)
    assert torch.equal(live[0], live[1])
    assert rows.decode(live)[0]["arch"] == value | {"0-1": "none"}
    assert torch.equal(rows.structure.live(live[None]), live[None])


def test_a_space_without_structure_has_no_blocks() -> None:
    rows = rows_of(lr={"type": "float", "range": [0.0, 1.0]})
    assert Structure(rows)(torch.zeros(2, 1, dtype=torch.float64)) == []
