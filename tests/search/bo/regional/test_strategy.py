from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.search import Objective, Reward, SearchSpace, SearchStrategy, strategy
from omniforge.search.bo.regional.region import FIRST
from omniforge.search.bo.regional.strategy import RegionStrategy

ACCURACY = Objective("accuracy", "max")


class TestRegion(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"of-hd": {"initial": 5}})


def test_it_finds_what_matters_among_many_dimensions() -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(30)})
    made = RegionStrategy(initial=6)
    made.bind_space(space, [ACCURACY], seed=0)
    found: list[float] = []
    for _ in range(22):
        (candidate,) = made.generate_tasks(1)
        found.append(-sum((candidate.config[f"x{i}"] - 0.8) ** 2 for i in (3, 11)))
        made.handle_rewards([Reward(candidate, {"accuracy": found[-1]})])
    assert max(found) > -0.02 > max(found[:6])


def test_candidates_stay_in_the_region_until_it_is_given_up() -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(3)})
    made = RegionStrategy(initial=4)
    made.bind_space(space, [ACCURACY], seed=1)
    rng = np.random.default_rng(0)
    started = 0
    for _ in range(90):
        region = made.region()
        if region.start > 0:
            started = region.start
            break
        (candidate,) = made.generate_tasks(1)
        history = made.history
        center = region.center(history.targets(), history.objectives)
        if len(history) >= 4 and center is not None and region.length < FIRST:
            here, there = candidate.config, history.configs[center]
            assert max(abs(here[path] - there[path]) for path in there) <= 0.5 * region.length + 1e-9
        # one good observation, then nothing is ever better
        made.handle_rewards([Reward(candidate, {"accuracy": -float(rng.random()) - float(len(history) > 1)})])
    assert started > 30
    assert made.region().length == FIRST
    designed = made.generate_tasks(4)
    assert len({tuple(candidate.config.values()) for candidate in designed}) == 4
