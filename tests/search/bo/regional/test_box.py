from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conformance.strategy_suite import CONDITIONAL
from conformance.surrogate_suite import MIXED

from omniforge.errors import SpecError
from omniforge.search import SearchSpace
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.regional.box import RegionGenerator, RegionOptimizer
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals

CENTER = {"x": 0.3, "y": 10, "c": "b"}


def observed(rows: Rows) -> Observed:
    X = rows.encode(rows.space.sample_many(6, np.random.default_rng(0)))
    return Observed(X, torch.arange(6.0, dtype=torch.float64)[:, None], Goals((0,), {}))


def test_numbers_stay_in_the_box_and_choices_mostly_the_same() -> None:
    rows = Rows(MIXED)
    X = RegionGenerator(CENTER, length=0.2).generate(rows, observed(rows), count=400, rng=np.random.default_rng(1))
    off = (X - rows.encode([CENTER])).abs()
    assert X.shape == (400, 3)
    assert float(off[:, rows.numeric].max()) <= 0.1
    changed = float((off[:, rows.categorical] > 0).double().mean())
    assert 0.08 < changed < 0.3
    assert {config["c"] for config in rows.decode(X)} == {"a", "b", "c"}


def test_the_best_observation_is_the_middle_when_none_is_given() -> None:
    rows = Rows(MIXED)
    seen = observed(rows)
    X = RegionGenerator(length=0.1).generate(rows, seen, count=50, rng=np.random.default_rng(1))
    assert float((X - seen.X[5])[:, rows.numeric].abs().max()) <= 0.05


def test_new_branches_are_complete() -> None:
    rows = Rows(CONDITIONAL)
    center = CONDITIONAL.default()
    X = RegionGenerator(center).generate(rows, observed(rows), count=80, rng=np.random.default_rng(1))
    assert torch.equal(rows.encode(rows.decode(X))[:, rows.categorical], X[:, rows.categorical])
    assert len({config["kind"] for config in rows.decode(X)}) == 3


def test_many_columns_change_a_few_at_a_time() -> None:
    rows = Rows(SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(100)}))
    center = {f"x{i}": 0.5 for i in range(100)}
    X = RegionGenerator(center).generate(rows, observed(rows), count=100, rng=np.random.default_rng(1))
    assert 15 < float((rows.encode([center]) != X).sum(dim=-1).double().mean()) < 25


@pytest.mark.parametrize("differentiable", [True, False])
def test_the_optimum_within_the_box_is_found(differentiable: bool) -> None:
    rows = Rows(MIXED)
    target = rows.encode([{"x": 0.37, "y": 11, "c": "c"}])[0]
    far = rows.encode([{"x": 0.9, "y": 11, "c": "c"}])[0]

    def value(X: torch.Tensor) -> torch.Tensor:
        X = X if differentiable else X.detach()
        near = -(X - target)[..., 0, :].square().sum(-1)
        return torch.maximum(near, 5.0 - 50.0 * (X - far)[..., 0, :].square().sum(-1))

    rng = np.random.default_rng(0)
    candidates = RegionGenerator(CENTER, length=0.2).generate(rows, observed(rows), count=200, rng=rng)
    optimizer = RegionOptimizer(CENTER, length=0.2)
    found = optimizer.maximize(value, rows, candidates=candidates, is_new=lambda config: True, rng=rng)
    config = rows.decode(found)[0]
    assert config["c"] == "c"
    assert config["x"] == pytest.approx(0.37, abs=1e-3 if differentiable else 0.06)


def test_what_is_not_new_is_passed_over() -> None:
    rows = Rows(MIXED)
    rng = np.random.default_rng(0)
    candidates = RegionGenerator(CENTER).generate(rows, observed(rows), count=40, rng=rng)
    part: dict[str, Any] = {"candidates": candidates, "rng": rng}

    def value(X: torch.Tensor) -> torch.Tensor:
        return -X[..., 0, 0]

    none = RegionOptimizer(CENTER).maximize(value, rows, is_new=lambda config: False, **part)
    assert none.shape == (0, 3)
    found = RegionOptimizer(CENTER).maximize(value, rows, is_new=lambda config: config["c"] == "a", **part)
    assert rows.decode(found)[0]["c"] == "a"


@pytest.mark.parametrize("make", [RegionGenerator, RegionOptimizer])
@pytest.mark.parametrize("length", [0.0, -1.0, "wide"])
def test_a_length_is_a_number_above_zero(make: Any, length: Any) -> None:
    with pytest.raises(SpecError, match="length is"):
        make(CENTER, length=length)
