from __future__ import annotations

import numpy as np
import torch

from omniforge.search import Objective, SearchSpace
from omniforge.search.bo.fitted import Fitted
from omniforge.search.bo.proposal import Data, Proposer, select


def test_few_observations_are_all_learned_from() -> None:
    assert select(np.zeros((5, 1)), [Objective("score", "max")], limit=5) == [0, 1, 2, 3, 4]


def test_of_many_the_best_and_the_latest_are() -> None:
    Y = np.array([[9.0], [1.0], [8.0], [2.0], [3.0], [4.0]])
    assert select(Y, [Objective("score", "max")], limit=4) == [0, 2, 4, 5]


PARTS = {
    "surrogate": "gp",
    "acquisition": "auto",
    "optimizer": "mixed",
    "generator": "mixture",
    "suggester": "believer",
}


def test_many_observations_are_learned_from_within_the_limit_and_threads_are_left_alone() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\nc: {type: choice, range: {a, b}}")
    rng = np.random.default_rng(0)
    configs = space.sample_many(60, rng)
    Y = np.array([[-((config["x"] - 0.4) ** 2) - (config["c"] == "a")] for config in configs])
    proposer = Proposer(space, [Objective("score", "max")], choices=PARTS, max_observations=24)
    threads = torch.get_num_threads()
    data = Data(configs, Y, pending=[{"x": 0.4, "c": "b"}])
    found, fitted = proposer.propose(2, data, fitted=Fitted(), is_new=lambda _: True, rng=rng)
    assert torch.get_num_threads() == threads
    assert [config["c"] for config in found] == ["b", "b"]
    assert fitted.count == 60
    assert len(fitted.hyperparameters) == 1
    _, later = proposer.propose(1, data, fitted=Fitted(59, fitted.hyperparameters), is_new=lambda _: True, rng=rng)
    assert later == Fitted(59, fitted.hyperparameters)
