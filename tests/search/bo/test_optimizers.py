from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import rows_of
from conformance.optimizer_suite import OptimizerSuite, wavy
from torch import Tensor

from omniforge.errors import SpecError
from omniforge.search import SearchSpace
from omniforge.search.bo.acquisitions.belief import Costly
from omniforge.search.bo.composition import OPTIMIZERS
from omniforge.search.bo.optimizers import (
    EvolutionaryOptimizer,
    ExhaustiveOptimizer,
    GradientOptimizer,
    MixedOptimizer,
    evaluate,
)
from omniforge.search.bo.rows import Rows


class TestOptimizers(OptimizerSuite):
    @pytest.fixture(params=tuple(OPTIMIZERS))
    def choice(self, request: Any) -> Any:
        return request.param


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


def test_a_small_space_is_looked_at_as_a_whole() -> None:
    """One configuration of many stands out, and nothing leads there."""
    rows = rows_of("finite")
    assert rows.every is not None
    for goal in rows.every:
        for make in (MixedOptimizer, ExhaustiveOptimizer):
            found = make().maximize(
                lambda X, goal=goal: (X[:, 0] == goal).all(-1).to(X), rows, candidates=rows.every[:1],
                is_new=lambda _: True, rng=np.random.default_rng(0),
            )  # fmt: skip
            torch.testing.assert_close(found[0], goal)


def test_a_costly_function_of_many_rows_is_not() -> None:
    space = SearchSpace.from_dict({f"c{i}": {"type": "choice", "range": list("abcde")} for i in range(5)})
    rows, asked = Rows(space), []

    def function(X: Tensor) -> Tensor:
        asked.append(len(X))
        return X.sum((-1, -2))

    rng = np.random.default_rng(0)
    candidates = rows.encode(space.sample_many(20, rng))
    others = {"candidates": candidates, "is_new": lambda _: True, "rng": rng}
    MixedOptimizer().maximize(Costly(function), rows, **others)
    assert sum(asked) < 400
    MixedOptimizer().maximize(function, rows, **others)
    assert sum(asked) > 3000


def test_a_space_that_is_too_large_is_refused_by_exhaustive(rows: Rows) -> None:
    with pytest.raises(SpecError, match="at most 20000 configurations, not inf"):
        ExhaustiveOptimizer().maximize(
            wavy, rows, candidates=rows.encode([rows.space.default()]), is_new=lambda _: True,
            rng=np.random.default_rng(0),
        )  # fmt: skip


def test_gradients_find_what_candidates_miss() -> None:
    rows = rows_of("numeric")
    goal = torch.tensor([0.123, 0.877], dtype=torch.float64)
    rng = np.random.default_rng(0)
    found = GradientOptimizer().maximize(
        lambda X: -((X[:, 0] - goal) ** 2).sum(-1), rows, candidates=rows.encode(rows.space.sample_many(10, rng)),
        is_new=lambda _: True, rng=rng,
    )  # fmt: skip
    torch.testing.assert_close(found[0], goal, atol=1e-3, rtol=0.0)


def test_evolution_finds_the_branch_without_gradients(rows: Rows) -> None:
    def acquisition(X: Tensor) -> Tensor:
        return -((X[:, 0] - goal(rows)) ** 2).sum(-1).detach()

    rng = np.random.default_rng(0)
    candidates = rows.encode(rows.space.sample_many(30, rng))
    found = EvolutionaryOptimizer().maximize(acquisition, rows, candidates=candidates, is_new=lambda _: True, rng=rng)
    (config,) = rows.decode(found)
    assert config["kind"] == "a"
    assert abs(config["kind.a.x"] - 0.3) < 0.1
    assert abs(config["rate"] - 0.7) < 0.1
