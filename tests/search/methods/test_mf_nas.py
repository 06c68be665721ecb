from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.errors import SpecError
from omniforge.search import Objective, Reward, SearchSpace, SearchStrategy, strategy


class TestMaxFlow(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"mf-nas": {"initial": 6}})


CELL = SearchSpace.from_yaml(
    "arch: {type: cell, nodes: 4, operations: [none, skip, pool, conv, large], zero: none, identity: skip}"
)
WORTH = {"none": 0.0, "skip": 0.4, "pool": 0.2, "conv": 0.7, "large": 1.0}


def accuracy(cell: dict[str, str]) -> float:
    """Return a made-up accuracy: what the paths from input to output compute, the direct one best as an identity."""
    paths = (("0-3",), ("0-1", "1-3"), ("0-2", "2-3"), ("0-1", "1-2", "2-3"))
    values = [float(np.prod([WORTH[cell[edge]] for edge in path])) for path in paths]
    return sum(values[1:]) + (0.9 if cell["0-3"] == "skip" else 0.5 * values[0])


def best(name: str, *, seed: int, evaluations: int = 60) -> float:
    made = strategy(name)
    made.bind_space(CELL, [Objective("accuracy", "max")], seed=seed)
    found = []
    for _ in range(evaluations):
        (candidate,) = made.generate_tasks(1)
        found.append(accuracy(candidate.config["arch"]))
        made.handle_rewards([Reward(candidate, {"accuracy": found[-1]})])
    return max(found)


def test_it_finds_the_best_of_15625_cells() -> None:
    assert best("mf-nas", seed=0) == pytest.approx(3.9)
    assert best("random", seed=0) < 3.9


@pytest.mark.parametrize(
    ("options", "says"), [({"initial": 1}, "initial is 1"), ({"explore": -0.1}, "explore is -0.1")]
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        strategy({"mf-nas": options})
