from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from omniforge.search import Candidate, Objective, Reward, SearchSpace, strategy
from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.halving import Halving
from omniforge.search.fidelity.sources import Priors
from omniforge.search.fidelity.staged import Situation, Step

Make = Callable[..., Curves]


def next_step(curves: Curves, *, brackets: int = 1, eta: float = 3.0, exhausted: bool = False) -> Step | None:
    planner = Halving(eta=eta, brackets=brackets, source=Priors())
    return planner.next(Situation(curves, lambda config: True, np.random.default_rng(0), exhausted))


def test_a_third_of_a_level_goes_on_the_best_first(make_curves: Make) -> None:
    assert next_step(make_curves({0.1: {1: 0.1}, 0.2: {1: 0.9}})) == Step(0)
    three = {0.1: {1: 0.1}, 0.2: {1: 0.9}, 0.3: {1: 0.5}}
    assert next_step(make_curves(three)) == Step(1, {"x": 0.2})
    assert next_step(make_curves(three, [(0.2, 3)])) == Step(0)


def test_higher_levels_come_first(make_curves: Make) -> None:
    seen = {x / 10: {1: x / 10, 3: x / 10} for x in (1, 2, 3)} | {x / 10: {1: 0.01 * x} for x in range(4, 10)}
    assert next_step(make_curves(seen)) == Step(2, {"x": 0.3})


def test_failures_count_at_their_level_and_do_not_go_on(make_curves: Make) -> None:
    assert next_step(make_curves({0.1: {1: None}, 0.2: {1: None}, 0.3: {1: 0.5}})) == Step(1, {"x": 0.3})
    assert next_step(make_curves({0.1: {1: None}, 0.2: {1: None}, 0.3: {1: None}})) == Step(0)


def test_without_new_configurations_the_best_go_on_to_the_end(make_curves: Make) -> None:
    assert next_step(make_curves({0.1: {1: 0.1}, 0.2: {1: 0.9}}), exhausted=True) == Step(1, {"x": 0.2})
    assert next_step(make_curves({0.1: {1: 0.1, 3: 0.1}, 0.2: {1: 0.9}}), exhausted=True) == Step(2, {"x": 0.1})
    assert next_step(make_curves({0.1: {9: 0.1}, 0.2: {1: None}}), exhausted=True) is None


def test_brackets_begin_at_their_levels_with_equal_shares() -> None:
    made = strategy({"hyperband": {"low": 1, "high": 27}})
    made.bind_space(
        SearchSpace.from_dict({"x": {"type": "float", "range": [0, 1]}}), [Objective("score", "max")], seed=0
    )
    first: dict[float, float] = {}
    spent: dict[float, float] = {1: 0.0, 3: 0.0, 9: 0.0, 27: 0.0}
    seen: dict[float, float] = {}
    for _ in range(150):
        (candidate,) = made.generate_tasks(1)
        assert candidate.fidelity is not None
        x, epochs = candidate.config["x"], candidate.fidelity["epochs"]
        bracket = first.setdefault(x, epochs)
        spent[bracket] += epochs - seen.get(x, 0.0)
        seen[x] = epochs
        made.handle_rewards([Reward(candidate, {"score": -abs(x - 0.3)})])
    assert min(spent.values()) > 0.8 * max(spent.values())
    assert sum(value == 1 for value in first.values()) > 3 * sum(value == 27 for value in first.values())


def test_several_objectives_go_on_by_their_fronts() -> None:
    made = strategy({"asha": {"low": 1, "high": 3, "eta": 2}})
    made.bind_space(
        SearchSpace.from_dict({"x": {"type": "float", "range": [0, 1]}}),
        [Objective("score", "max"), Objective("latency", "min")],
        seed=0,
    )
    rewards = {0.1: (0.9, 9.0), 0.2: (0.1, 1.0), 0.3: (0.05, 9.5), 0.4: (0.01, 9.9)}
    made.handle_rewards(
        [Reward(Candidate({"x": x}, {"epochs": 1}), {"score": s, "latency": y}) for x, (s, y) in rewards.items()]
    )
    assert {candidate.config["x"] for candidate in made.generate_tasks(2)} == {0.1, 0.2}


@pytest.mark.parametrize("eta", [2.0, 4.0])
def test_the_share_is_an_option(make_curves: Make, eta: float) -> None:
    curves = make_curves({x / 10: {1: x / 10} for x in range(1, 4)})
    assert (next_step(curves, eta=eta) == Step(1, {"x": 0.3})) is (eta == 2.0)
