from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.errors import SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, hypervolume, strategy
from omniforge.search.methods.nsga2 import survivors


class TestNSGA2(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"nsga2": {"population_size": 8}})


BOTH = [Objective("f", "max"), Objective("g", "min")]


def test_fronts_come_first_and_crowded_members_go() -> None:
    front = [[0.0, 1.0], [0.5, 0.5], [0.51, 0.49], [1.0, 0.0]]
    Y = np.array([*front, [0.2, 0.2], [np.nan, np.nan]])
    assert set(survivors(Y, BOTH, limit=3)) == {0, 1, 3} or set(survivors(Y, BOTH, limit=3)) == {0, 2, 3}
    assert set(survivors(Y, BOTH, limit=5)) == {0, 1, 2, 3, 4}
    assert survivors(Y, BOTH, limit=9)[-1] == 4
    assert 5 not in survivors(Y, BOTH, limit=9)


def test_what_breaks_a_bound_loses_to_what_does_not_and_to_what_breaks_it_less() -> None:
    bound = [Objective("f", "max"), Objective("g", "min", bound=2.0)]
    Y = np.array([[9.0, -3.0], [1.0, -1.0], [8.0, -9.0]])
    assert survivors(Y, bound, limit=3) == [1, 0, 2]
    assert survivors(Y, bound, limit=1) == [1]


def test_with_nothing_known_to_work_all_are_members() -> None:
    assert survivors(np.full((3, 2), np.nan), BOTH, limit=2) == [0, 1]


def _volume(name: str | dict[str, Any], seed: int) -> float:
    """Search a two-objective problem of eight numbers (ZDT1 of Zitzler et al. 2000) and return what it dominates."""
    space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(8)})
    made = strategy(name)
    made.bind_space(space, BOTH, seed=seed)
    found = []
    for _ in range(150):
        (candidate,) = made.generate_tasks(1)
        x = np.array([candidate.config[f"x{i}"] for i in range(8)])
        g = 1.0 + 9.0 * x[1:].mean()
        metrics = {"f": -x[0], "g": g * (1.0 - np.sqrt(x[0] / g))}
        found.append([metrics["f"], -metrics["g"]])
        made.handle_rewards([Reward(candidate, metrics)])
    return hypervolume(found, [-1.0, -8.0])


def test_it_finds_more_of_a_front_than_random_search() -> None:
    for seed in range(2):
        assert _volume("nsga2", seed) > _volume("random", seed) + 0.3


def test_failed_candidates_are_no_parents() -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "choice", "range": ["a", "b", "c"]} for i in range(9)})
    made = strategy({"nsga2": {"population_size": 4}})
    made.bind_space(space, [Objective("f", "max")], seed=0)
    for letter in "abc":
        reward = {"f": 1.0} if letter == "b" else {}
        candidate = Candidate({f"x{i}": letter for i in range(9)})
        made.handle_rewards([Reward(candidate, reward, state="succeeded" if reward else "failed")] * 2)
    for child in made.generate_tasks(6):
        assert sum(value == "b" for value in child.config.values()) >= 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"population_size": 3}, "population_size is 3"),
        ({"crossover_probability": 1.5}, "crossover_probability is 1.5"),
        ({"mutations": 0}, "mutations is 0"),
        ({"mutations": "many"}, "mutations is 'many'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        strategy({"nsga2": options})
