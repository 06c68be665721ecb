from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals

SPACE = SearchSpace.from_yaml(
    """
    kind:
      type: choice
      range: [a, b]
      submodule:
        a: {x: {type: float, range: [0.0, 1.0]}}
        b: {z: {type: int, range: [1, 9]}}
    rate: {type: float, range: [0.0, 1.0]}
    """
)


def score(config: dict[str, float]) -> float:
    """Best at kind a with x and rate at 0.3."""
    place = config["kind.a.x"] if config["kind"] == "a" else 1.5
    return -((place - 0.3) ** 2) - (config["rate"] - 0.3) ** 2


@pytest.fixture(scope="session")
def rows() -> Rows:
    return Rows(SPACE)


@pytest.fixture(scope="session")
def observe(rows: Rows) -> Callable[[int], Observed]:
    def make(targets: int = 1) -> Observed:
        configs = SPACE.sample_many(24, np.random.default_rng(0))
        columns = [[score(config) for config in configs], [-config["rate"] for config in configs]][:targets]
        Y = torch.tensor(columns, dtype=torch.float64).T
        return Observed(rows.encode(configs), (Y - Y.mean(0)) / Y.std(0), Goals(tuple(range(targets)), {}))

    return make


@pytest.fixture(scope="session")
def fitted(rows: Rows, observe: Callable[[int], Observed]) -> Callable[[int], GaussianProcess]:
    made: dict[int, GaussianProcess] = {}

    def fit(targets: int = 1) -> GaussianProcess:
        if targets not in made:
            made[targets] = GaussianProcess(rows)
            made[targets].fit(observe(targets).X, observe(targets).Y)
        return made[targets]

    return fit
