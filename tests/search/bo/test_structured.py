from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from omniforge.errors import SpecError
from omniforge.search import Objective, Reward, SearchSpace, strategy
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.structured import StructuredKernel, StructuredProcess

CELL = {
    "type": "cell",
    "nodes": 4,
    "operations": ["none", "skip", "conv", "wide", "pool"],
    "zero": "none",
    "identity": "skip",
}
CHOICE = {"type": "choice", "range": ["u", "v", "w"]}
SPACES = {
    "cell": {"arch": CELL},
    "alike": {f"layer{i}": CHOICE for i in range(5)},
    "mixed": {"arch": CELL, "lr": {"type": "float", "range": [1e-4, 1.0], "log": True}, "act": CHOICE},
    "numeric": {"x": {"type": "float", "range": [0.0, 1.0]}},
}


def rows_of(name: str) -> Rows:
    return Rows(SearchSpace.from_dict(SPACES[name]))


@pytest.mark.parametrize("name", SPACES)
def test_the_covariance_is_positive_definite_and_its_diagonal_is_the_prior_variance(name: str) -> None:
    rows = rows_of(name)
    kernel = StructuredKernel(rows)
    embedded = kernel.embed(rows.encode(rows.space.sample_many(30, np.random.default_rng(0))))
    K = kernel(kernel.mean, embedded, embedded)
    assert torch.allclose(K, K.T)
    assert float(torch.linalg.eigvalsh(K).min()) > -1e-8
    assert torch.allclose(K.diagonal(), kernel.diagonal(kernel.mean).squeeze().expand(30), atol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_it_learns(name: str) -> None:
    rows = rows_of(name)
    configs = rows.space.sample_many(60, np.random.default_rng(1))
    X = rows.encode(configs)
    y = torch.tensor([value_of(config) for config in configs], dtype=torch.float64)
    y = (y - y.mean()) / y.std()
    model = StructuredProcess(rows)
    model.fit(X[:40], y[:40, None])
    mean, variance = model.mean_and_variance(X[40:])
    assert float(((mean[:, 0] - y[40:]) ** 2).mean()) < 0.7 * float(y[40:].var())
    assert bool((variance > 0).all())


def value_of(config: dict[str, Any]) -> float:
    """Many convolutions, a small rate and the choice ``u`` are good."""
    value = 0.0
    for key, one in config.items():
        if isinstance(one, dict):
            value += sum({"conv": 1.0, "wide": 1.5, "none": -1.0}.get(operation, 0.0) for operation in one.values())
        else:
            value += {"u": 1.0, "v": 0.3}.get(one, 0.0) if isinstance(one, str) else -abs(np.log(max(one, 1e-3)) + 3)
        value += 0.001 * len(key)
    return value


def test_cells_that_compute_the_same_are_alike_in_their_structure() -> None:
    rows = rows_of("cell")
    empty = dict.fromkeys(["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"], "none")
    one = {"arch": empty | {"0-1": "conv", "1-3": "pool"}}
    same = {"arch": empty | {"0-2": "conv", "2-3": "pool"}}
    other = {"arch": empty | {"0-2": "pool", "2-3": "wide"}}
    kernel = StructuredKernel(rows)
    row = kernel.embed(rows.encode([one, same, other]))
    K = kernel(kernel.mean, row, row)
    assert K[0, 1] - K[0, 2] > 0.3  # of a prior variance of about 2


def test_the_scale_is_checked() -> None:
    with pytest.raises(SpecError, match="scale is 'log'"):
        StructuredProcess(rows_of("cell"), scale="log")


def test_of_finds_the_best_of_fifteen_thousand_cells() -> None:
    space = SearchSpace.from_dict(SPACES["cell"])
    search = strategy("of")
    search.bind_space(space, [Objective("f", "max")], seed=0)
    best = -np.inf
    for _ in range(40):
        for candidate in search.generate_tasks(1):
            value = value_of(candidate.config)
            best = max(best, value)
            search.handle_rewards([Reward(candidate, {"f": value})])
    assert best > 8.9  # six times 1.5
