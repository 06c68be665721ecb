from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.errors import SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy


class TestEvolution(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"evolution": {"population_size": 8, "tournament_size": 4}})


SPACE = SearchSpace.from_dict({f"x{i}": {"type": "choice", "range": ["a", "b", "c"]} for i in range(8)})


def told(objectives: list[Objective], rewards: list[tuple[str, dict[str, float]]], **options: int) -> SearchStrategy:
    """Return a strategy that knows constant configurations, each with its rewards; none stands for a failure."""
    made = strategy({"evolution": options})
    made.bind_space(SPACE, objectives, seed=0)
    for word, metrics in rewards:
        config = {f"x{i}": letter for i, letter in enumerate(word)}
        made.handle_rewards([Reward(Candidate(config), metrics, state="succeeded" if metrics else "failed")])
    return made


def differences(config: dict[str, Any], word: str) -> int:
    return sum(config[f"x{i}"] != letter for i, letter in enumerate(word))


def test_children_differ_from_the_winner_in_one_parameter() -> None:
    known = [("aaaaaaaa", {"v": 1.0}), ("bbbbbbbb", {"v": 3.0}), ("cccccccc", {"v": 2.0})]
    made = told([Objective("v", "max")], known, population_size=3, tournament_size=3)
    assert [differences(child.config, "bbbbbbbb") for child in made.generate_tasks(6)] == [1] * 6
    made = told([Objective("v", "min")], known, population_size=3, tournament_size=3)
    assert [differences(child.config, "aaaaaaaa") for child in made.generate_tasks(6)] == [1] * 6


def test_the_oldest_dies_even_when_it_is_the_best_and_failures_never_win() -> None:
    known = [("aaaaaaaa", {"v": 9.0}), ("bbbbbbbb", {"v": 3.0}), ("cccccccc", {})]
    made = told([Objective("v", "max")], known, population_size=2, tournament_size=2)
    assert [differences(child.config, "bbbbbbbb") for child in made.generate_tasks(6)] == [1] * 6


def test_a_bound_comes_before_the_objectives() -> None:
    known = [("aaaaaaaa", {"v": 9.0, "t": 8.0}), ("bbbbbbbb", {"v": 3.0, "t": 4.0}), ("cccccccc", {"v": 2.0, "t": 4.0})]
    objectives = [Objective("v", "max"), Objective("t", "min", bound=5.0)]
    made = told(objectives, known, population_size=3, tournament_size=3)
    assert [differences(child.config, "bbbbbbbb") for child in made.generate_tasks(6)] == [1] * 6


def test_the_first_generation_fills_the_space() -> None:
    made = told([Objective("v", "max")], [], population_size=9, tournament_size=3)
    first = made.generate_tasks(9)
    assert {candidate.config["x0"] for candidate in first} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"population_size": 1}, "population_size is 1"),
        ({"tournament_size": 0}, "tournament_size is 0"),
        ({"population_size": 4, "tournament_size": 5}, "at most population_size, 4"),
        ({"population": 4}, "no option 'population'"),
    ],
)
def test_sizes_are_checked(options: dict[str, int], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        strategy({"evolution": options})
