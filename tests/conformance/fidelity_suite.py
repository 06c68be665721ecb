"""What every multi-fidelity strategy has to do: the strategy suite, with a candidate being a configuration at a fidelity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import (
    ACCURACY,
    CELLS,
    CHANGES,
    CONDITIONAL,
    FINITE,
    GOALS,
    OPS,
    ROUNDS,
    SPACES,
    StrategySuite,
    measure,
)

from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy

LEVELS = (1, 3, 9)
"""What the fixture ``make`` is expected to be made with: ``fidelity: epochs, low: 1, high: 9``."""


def identity(space: SearchSpace, candidate: Candidate) -> tuple[str, float]:
    """Return what no two candidates of a search may share."""
    assert candidate.fidelity is not None
    return space.config_hash(candidate.config), candidate.fidelity["epochs"]


class FidelitySuite(StrategySuite):
    """The suite of strategies that choose fidelities: ``epochs`` from 1 to 9.

    Where the strategy suite counts configurations, this one counts configurations at a fidelity.
    """

    @pytest.mark.parametrize(
        ("name", "goals"), [*(("conditional", goals) for goals in GOALS), ("finite", "both"), ("cells", "min")]
    )
    def test_candidates_are_valid_and_never_repeat(self, bound: Any, name: str, goals: str) -> None:
        space = SPACES[name]
        found = self.search(bound(space, GOALS[goals]), space)
        for candidate in found:
            space.validate(candidate.config)
        keys = [identity(space, candidate) for candidate in found]
        assert len(set(keys)) == len(keys)
        assert all(1 <= value <= 9 for _, value in keys)
        if space is CONDITIONAL:
            assert len(found) == 2 * ROUNDS

    def test_neither_pending_nor_proposed_candidates_come_again(self, bound: Any) -> None:
        strategy = bound(FINITE)
        foreign = [Candidate({"a": "z"}, {"epochs": 1}), Candidate({"b": 2, "a": "x"}, {"epochs": 9})]
        first = strategy.generate_tasks(3, pending=foreign)
        second = strategy.generate_tasks(9, pending=[*foreign, *first])
        keys = [FINITE.config_hash(candidate.config) for candidate in [*foreign, *first, *second]]
        assert len(keys) == len(set(keys)) == 9

    @pytest.mark.parametrize("count", [1, 4])
    def test_a_finite_space_is_searched_to_its_end(self, bound: Any, count: int) -> None:
        strategy = bound(FINITE)
        for _ in range(60):
            found = strategy.generate_tasks(count)
            strategy.handle_rewards([Reward(one, measure(FINITE, one.config)) for one in found])
            if not found:
                break
        state = strategy.dump()["history"]["observations"]
        full = {FINITE.config_hash(row["config"]) for row in state if row["fidelity"]["epochs"] == 9}
        assert len(full) == FINITE.size() == 9
        assert strategy.generate_tasks(1) == []

    def test_isomorphic_cells_are_one(self, bound: Any) -> None:
        found = self.search(bound(CELLS), CELLS, rounds=16, count=8)
        every = {CELLS.config_hash({"cell": {"0-1": a, "0-2": b, "1-2": c}}) for a in OPS for b in OPS for c in OPS}
        assert {CELLS.config_hash(candidate.config) for candidate in found} == every

    def test_rewards_of_others_are_learned(self, bound: Any) -> None:
        strategy = bound(FINITE)
        strategy.handle_rewards([Reward(Candidate({"a": "z"}, None, id=4), {"accuracy": 0.5, "other": 1.0})])
        keys = [candidate.config for candidate in strategy.generate_tasks(9)]
        assert {"a": "z"} not in keys
        assert len(keys) == 8

    @pytest.mark.parametrize("goals", ["max", "both"])
    def test_a_space_may_change_and_nothing_is_lost(self, bound: Any, goals: str) -> None:
        strategy = bound(CONDITIONAL, GOALS[goals])
        seen = self.search(strategy, rounds=7)
        versions = [CONDITIONAL]
        for change in CHANGES:
            waiting = strategy.generate_tasks(1)
            versions.append(change(versions[-1]))
            strategy.change_space(versions[-1])
            found = strategy.generate_tasks(3, pending=waiting)
            assert len(found) == 3
            for candidate in found:
                versions[-1].validate(candidate.config)
            strategy.handle_rewards([Reward(one, measure(versions[-1], one.config)) for one in (*waiting, *found)])
            seen += [*waiting, *found]
        strategy.change_space(CONDITIONAL)
        keys = {identity(CONDITIONAL, candidate) for candidate in seen}
        again = strategy.generate_tasks(4)
        assert len(again) == 4
        assert not keys & {identity(CONDITIONAL, candidate) for candidate in again}

    def test_a_space_that_is_exhausted_goes_on_where_it_is_widened(self, bound: Any) -> None:
        strategy = bound(FINITE)
        self.search(strategy, FINITE, rounds=10, count=9)
        assert strategy.generate_tasks(1) == []
        wider = FINITE.edit("a", range=["x", "y", "z", "w"])
        strategy.change_space(wider)
        found = self.search(strategy, wider, rounds=4, count=1)
        assert {wider.config_hash(candidate.config) for candidate in found} == {wider.config_hash({"a": "w"})}

    @pytest.mark.parametrize("goal", ["max", "min"])
    def test_what_was_learned_shows(self, bound: Any, goal: Any) -> None:
        """What is tried at the full fidelity in the end is better than what draws from the priors are on average."""
        space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\nc: {type: choice, range: {a, b, c, d}}")
        sign = 1.0 if goal == "max" else -1.0

        def value(config: dict[str, Any], epochs: float) -> float:
            return sign * ("abcd".index(config["c"]) - 4 * (config["x"] - 0.3) ** 2 - 2.0 / epochs)

        strategy: SearchStrategy = bound(space, [Objective("value", goal)])
        full: list[float] = []
        for _ in range(60):
            for candidate in strategy.generate_tasks(1):
                epochs = identity(space, candidate)[1]
                found = value(candidate.config, epochs)
                if epochs == 9:
                    full.append(sign * found)
                strategy.handle_rewards([Reward(candidate, {"value": found})])
        typical = [sign * value(config, 9) for config in space.sample_many(200, np.random.default_rng(0))]
        assert len(full) >= 2
        assert np.mean(full[-4:]) > np.mean(typical) + 0.4

    # -------------------------------------------------------------------------------------------------- fidelities

    def test_only_what_was_seen_is_continued_and_every_level_is_one_of_the_ladder(self, bound: Any) -> None:
        found = self.search(bound(), rounds=15)
        best: dict[str, float] = {}
        for candidate in found:
            key, value = identity(CONDITIONAL, candidate)
            assert value > best.get(key, 0.0)
            best[key] = value
        assert max(best.values()) == 9
        assert min(best.values()) < 9

    def test_what_failed_is_not_continued(self, bound: Any) -> None:
        strategy = bound()
        failed: set[str] = set()
        for i in range(40):
            (candidate,) = strategy.generate_tasks(1)
            key = CONDITIONAL.config_hash(candidate.config)
            assert key not in failed
            if i % 3 == 1:
                failed.add(key)
                strategy.handle_rewards([Reward(candidate, {}, state="failed", cause="exception")])
            else:
                strategy.handle_rewards([Reward(candidate, measure(CONDITIONAL, candidate.config))])

    def test_a_reward_without_a_fidelity_is_one_at_the_full_fidelity(self, bound: Any) -> None:
        strategy = bound(FINITE, [ACCURACY])
        strategy.handle_rewards([Reward(Candidate({"a": "z"}), {"accuracy": 9.0})])
        for _ in range(12):
            for candidate in strategy.generate_tasks(1):
                assert candidate.config != {"a": "z"}
                strategy.handle_rewards([Reward(candidate, measure(FINITE, candidate.config))])
