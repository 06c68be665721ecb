from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omniforge.search import Candidate, Objective, Reward, SearchSpace, strategy
from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.freeze_thaw import FreezeThaw
from omniforge.search.fidelity.staged import Situation, Step

Make = Callable[..., Curves]


def situation(curves: Curves, seed: int, *, exhausted: bool = False) -> Situation:
    return Situation(curves, lambda config: not curves.has(config), np.random.default_rng(seed), exhausted)


def test_it_begins_with_the_default_and_halves(make_curves: Make) -> None:
    planner = FreezeThaw(initial=4, random=0.0)
    assert planner.next(situation(make_curves({}), 0)) == Step(0, {"x": 0.5})
    assert planner.next(situation(make_curves({0.5: {1: 0.3}}), 0)) == Step(0)
    assert planner.next(situation(make_curves({0.5: {1: 0.3}, 0.6: {1: 0.4}}), 0)) == Step(1, {"x": 0.6})


def test_a_promising_curve_goes_on_before_a_hopeless_one(make_curves: Make) -> None:
    seen: dict[float, dict[float, float | None]] = {x / 10: {1: 0.1, 3: 0.12, 9: 0.13} for x in range(4)}
    seen |= {0.9: {1: 0.3, 3: 0.6}, 0.6: {1: 0.05, 3: 0.01}}
    curves = make_curves(seen)
    planner = FreezeThaw(initial=3, random=0.0)
    found = [planner.next(situation(curves, seed, exhausted=True)) for seed in range(8)]
    assert all(step == Step(2, {"x": 0.9}) for step in found)


def test_a_curve_under_evaluation_is_not_continued(make_curves: Make) -> None:
    seen: dict[float, dict[float, float | None]] = {x / 10: {1: 0.1 * x} for x in range(5)}
    curves = make_curves(seen, [(0.4, 3)])
    planner = FreezeThaw(initial=3, random=0.0)
    for seed in range(6):
        step = planner.next(situation(curves, seed))
        assert step is not None
        assert step.config != {"x": 0.4}


def test_it_needs_less_training_than_full_evaluations() -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(3)})

    def loss(config: dict[str, float], epochs: float) -> float:
        end = sum((value - 0.3) ** 2 for value in config.values())
        return end + (1.0 + end) / epochs

    made = strategy({"freeze-thaw": {"low": 1, "high": 27}})
    made.bind_space(space, [Objective("loss", "min")], seed=0)
    spent, best = 0.0, 9.0
    reached: dict[str, float] = {}
    while spent < 27 * 8:
        (candidate,) = made.generate_tasks(1)
        assert candidate.fidelity is not None
        epochs = candidate.fidelity["epochs"]
        key = space.config_hash(candidate.config)
        spent += epochs - reached.get(key, 0.0)
        reached[key] = epochs
        value = loss(candidate.config, epochs)
        if epochs == 27:
            best = min(best, value)
        made.handle_rewards([Reward(candidate, {"loss": value})])
    drawn = sorted(loss(config, 27) for config in space.sample_many(400, np.random.default_rng(0)))
    assert best < drawn[4]  # the best percent; eight draws are there with a chance of one in thirteen
    assert len(reached) > 16


class Unsure(FreezeThaw):
    """A planner whose model never fits."""

    def _best(self, model: Any, situation: Situation) -> Step | None:
        raise RuntimeError("not positive definite")


def test_a_model_that_fails_gives_way_to_halving(make_curves: Make, caplog: pytest.LogCaptureFixture) -> None:
    curves = make_curves({0.1: {1: 0.1}, 0.2: {1: 0.9}, 0.3: {1: 0.5}})
    with caplog.at_level(logging.WARNING):
        assert Unsure(initial=3, random=0.0).next(situation(curves, 0)) == Step(1, {"x": 0.2})
    assert "not positive definite" in caplog.text


def test_rewards_of_candidates_without_a_fidelity_count() -> None:
    space = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
    made = strategy({"freeze-thaw": {"low": 1, "high": 9, "initial": 2}})
    made.bind_space(space, [Objective("loss", "min")], seed=0)
    made.handle_rewards([Reward(Candidate({"x": x / 10}), {"loss": abs(x / 10 - 0.4)}) for x in range(8)])
    assert len(made.generate_tasks(3)) == 3
