from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from omniforge.search.bo.optimizers import MixedOptimizer, evaluate
from omniforge.search.bo.rows import Rows


def goal(rows: Rows) -> Tensor:
    return rows.encode([{"kind": "a", "kind.a.x": 0.3, "rate": 0.7}])


def test_it_finds_the_branch_and_polishes_the_numbers(rows: Rows) -> None:
    def acquisition(X: Tensor) -> Tensor:
        return -((X[:, 0] - goal(rows)) ** 2).sum(-1)

    rng = np.random.default_rng(0)
    candidates = rows.encode(rows.space.sample_many(30, rng))
    found = MixedOptimizer().maximize(acquisition, rows, candidates=candidates, is_new=lambda _: True, rng=rng)
    (config,) = rows.decode(found)
    assert config["kind"] == "a"
    assert abs(config["kind.a.x"] - 0.3) < 0.01
    assert abs(config["rate"] - 0.7) < 0.01


def test_only_what_is_new_is_returned(rows: Rows) -> None:
    rng = np.random.default_rng(0)
    candidates = rows.encode(rows.space.sample_many(5, rng))
    zero = lambda X: X.sum((-1, -2)) * 0  # noqa: E731
    found = MixedOptimizer().maximize(zero, rows, candidates=candidates, is_new=lambda _: False, rng=rng)
    assert found.shape == (0, rows.d)


def test_nan_counts_as_the_worst() -> None:
    values = evaluate(lambda X: X[:, 0, 0] / X[:, 0, 0], torch.tensor([[0.0], [2.0]], dtype=torch.float64))
    assert values.tolist() == [-np.inf, 1.0]
