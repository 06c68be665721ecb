"""What every search strategy has to do, whatever it learns: a new one provides one fixture and inherits the suite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpaceError, SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy

CONDITIONAL = SearchSpace.from_yaml(
    """
    kind:
      type: choice
      range: {tree, line, net}
      submodule:
        tree: {depth: {type: int, range: [1, 9]}, rate: {type: float, range: [0.001, 1.0], log: true}}
        line: {penalty: {type: choice, range: {l1, l2}}}
        net:
          layers: {type: int, range: [1, 3], submodule: {width: {type: ordinal, range: [16, 32, 64]}}}
    seed: {type: constant, value: 3}
    scaled: {type: bool}
    momentum: {type: float, range: [0.0, 1.0], when: {kind: net}}
    forbid: [{kind: line, scaled: true}]
    """
)
FINITE = SearchSpace.from_yaml("a: {type: choice, range: {x, y, z}}\nb: {type: int, range: [1, 4], when: {a: [x, y]}}")
CELLS = SearchSpace.from_yaml(
    "cell: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}"
)
ORDERS = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: {fixed, free}, submodule: {free: {order: {type: permutation, items: [a, b, c, d, e]}}}}
    rate: {type: float, range: [0.0, 1.0]}
    """
)
SPACES = {"conditional": CONDITIONAL, "finite": FINITE, "cells": CELLS, "orders": ORDERS}
ACCURACY = Objective("accuracy", "max")
LATENCY = Objective("latency", "min", bound=50.0)
GOALS: dict[str, list[Objective]] = {
    "max": [ACCURACY],
    "min": [Objective("loss", "min")],
    "both": [ACCURACY, LATENCY],
    "constrained": [ACCURACY, Objective("latency", "min", bound=2.0, weight=0.0)],
}
ROUNDS = 9


def measure(space: SearchSpace, config: dict[str, Any]) -> dict[str, float]:
    """Return made-up measurements that depend on every parameter."""
    numbers = [ord(space.config_hash({path: value})[0]) for path, value in config.items()]
    accuracy = math.sin(sum(numbers)) / (1 + len(config))
    return {"accuracy": accuracy, "loss": -accuracy, "latency": float(len(config))}


class StrategySuite:
    """The conformance suite of the ``SearchStrategy`` contract.

    A subclass provides the fixture ``make``: a function that returns a new strategy, small enough to leave any initial
    design behind within about twelve rewards. A strategy that only draws anew sets ``learns`` to false.
    """

    learns = True

    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        raise NotImplementedError

    @pytest.fixture
    def bound(self, make: Callable[[], SearchStrategy]) -> Callable[..., SearchStrategy]:
        def build(
            space: SearchSpace = CONDITIONAL, goals: Sequence[Objective] = (ACCURACY,), seed: int = 0
        ) -> SearchStrategy:
            made = make()
            made.bind_space(space, goals, seed=seed)
            return made

        return build

    @staticmethod
    def search(
        strategy: SearchStrategy, space: SearchSpace = CONDITIONAL, *, rounds: int = ROUNDS, count: int = 2
    ) -> list[Candidate]:
        """Ask and tell; every fifth candidate fails and every seventh times out."""
        out: list[Candidate] = []
        for _ in range(rounds):
            found = strategy.generate_tasks(count)
            for candidate in found:
                out.append(candidate)
                state = "failed" if len(out) % 5 == 0 else "timeout" if len(out) % 7 == 0 else "succeeded"
                metrics = measure(space, candidate.config) if state == "succeeded" else {}
                strategy.handle_rewards([Reward(candidate, metrics, state=state, cause=None, duration_s=0.1)])
        return out

    # ------------------------------------------------------------------------------------------------ proposals

    @pytest.mark.parametrize(
        ("name", "goals"),
        [*(("conditional", goals) for goals in GOALS), ("finite", "both"), ("cells", "min"), ("orders", "both")],
    )
    def test_candidates_are_valid_and_never_repeat(self, bound: Any, name: str, goals: str) -> None:
        space = SPACES[name]
        found = self.search(bound(space, GOALS[goals]), space)
        for candidate in found:
            space.validate(candidate.config)
        keys = [space.config_hash(candidate.config) for candidate in found]
        assert len(set(keys)) == len(keys)
        if space is CONDITIONAL:
            assert len(found) == 2 * ROUNDS

    @pytest.mark.parametrize("count", [0, 1, 7])
    @pytest.mark.parametrize("known", [0, 14])
    def test_the_count_is_respected(self, bound: Any, count: int, known: int) -> None:
        strategy = bound()
        self.search(strategy, rounds=known // 2)
        assert len(strategy.generate_tasks(count)) == count

    def test_a_count_below_zero_is_refused(self, bound: Any) -> None:
        with pytest.raises(SpecError, match="count is -1"):
            bound().generate_tasks(-1)

    def test_neither_pending_nor_proposed_candidates_come_again(self, bound: Any) -> None:
        strategy = bound(FINITE)
        foreign = [Candidate({"a": "z"}), Candidate({"b": 2, "a": "x"})]
        first = strategy.generate_tasks(3, pending=foreign)
        second = strategy.generate_tasks(9, pending=[*foreign, *first])
        keys = [FINITE.config_hash(candidate.config) for candidate in [*foreign, *first, *second]]
        assert len(keys) == len(set(keys)) == 9

    def test_pending_candidates_are_waited_for(self, bound: Any) -> None:
        strategy = bound()
        self.search(strategy, rounds=7)
        pending: list[Candidate] = []
        for _ in range(4):
            pending += strategy.generate_tasks(1, pending=pending)
        assert len({CONDITIONAL.config_hash(candidate.config) for candidate in pending}) == 4

    @pytest.mark.parametrize("count", [1, 4])
    def test_a_finite_space_is_searched_to_its_end(self, bound: Any, count: int) -> None:
        strategy = bound(FINITE)
        found = self.search(strategy, FINITE, rounds=12, count=count)
        assert len({FINITE.config_hash(candidate.config) for candidate in found}) == len(found) == FINITE.size() == 9
        assert strategy.generate_tasks(1) == []

    def test_isomorphic_cells_are_one(self, bound: Any) -> None:
        found = self.search(bound(CELLS), CELLS, rounds=30)
        every = {CELLS.config_hash({"cell": {"0-1": a, "0-2": b, "1-2": c}}) for a in OPS for b in OPS for c in OPS}
        assert len(found) == len(every) < CELLS.size()

    # --------------------------------------------------------------------------------------------------- rewards

    def test_it_goes_on_when_everything_fails(self, bound: Any) -> None:
        strategy = bound(CONDITIONAL, GOALS["both"])
        for state in ("failed", "timeout") * 8:
            strategy.handle_rewards([Reward(candidate, {}, state=state) for candidate in strategy.generate_tasks(1)])
        assert len(strategy.generate_tasks(2)) == 2

    def test_rewards_that_are_all_alike_or_not_finite_do_no_harm(self, bound: Any) -> None:
        strategy = bound(CONDITIONAL, GOALS["both"])
        for i in range(18):
            metrics = {"accuracy": 0.5, "latency": math.nan if i % 6 == 5 else 3.0}
            strategy.handle_rewards([Reward(candidate, metrics) for candidate in strategy.generate_tasks(1)])
        assert len(strategy.generate_tasks(2)) == 2
        json.dumps(strategy.dump(), allow_nan=False)

    def test_rewards_of_others_are_learned(self, bound: Any) -> None:
        strategy = bound(FINITE)
        strategy.handle_rewards([Reward(Candidate({"a": "z"}, {"epochs": 3.0}, id=4), {"accuracy": 0.5, "other": 1.0})])
        keys = [candidate.config for candidate in strategy.generate_tasks(9)]
        assert {"a": "z"} not in keys
        assert len(keys) == 8

    def test_a_cancelled_candidate_may_come_again(self, bound: Any) -> None:
        strategy = bound(FINITE)
        found = strategy.generate_tasks(9)
        assert strategy.generate_tasks(1) == []
        strategy.handle_rewards([Reward(found[0], {}, state="cancelled")])
        assert [candidate.config for candidate in strategy.generate_tasks(2)] == [found[0].config]

    def test_a_configuration_of_another_space_is_refused_and_nothing_is_learned(self, bound: Any) -> None:
        strategy = bound(FINITE)
        before = strategy.dump()
        with pytest.raises(SpaceError):
            strategy.handle_rewards(
                [Reward(Candidate({"a": "z"}), {"accuracy": 1.0}), Reward(Candidate({"a": "q"}), {"accuracy": 1.0})]
            )
        assert strategy.dump() == before

    # ----------------------------------------------------------------------------------------- seeds and state

    @pytest.mark.parametrize("goals", ["max", "both"])
    def test_the_seed_decides(self, bound: Any, goals: str) -> None:
        np.random.seed(1)
        first = self.search(bound(CONDITIONAL, GOALS[goals], seed=3))
        np.random.seed(2)
        assert self.search(bound(CONDITIONAL, GOALS[goals], seed=3)) == first
        assert self.search(bound(CONDITIONAL, GOALS[goals], seed=4)) != first

    @pytest.mark.parametrize("goals", ["min", "both"])
    @pytest.mark.parametrize("rounds", [0, 2, 8])
    def test_a_dumped_search_goes_on_exactly(self, bound: Any, goals: str, rounds: int) -> None:
        strategy = bound(CONDITIONAL, GOALS[goals])
        self.search(strategy, rounds=rounds)
        waiting = strategy.generate_tasks(1)
        state = json.loads(json.dumps(strategy.dump(), allow_nan=False))
        again = bound(CONDITIONAL, GOALS[goals], seed=99)
        again.load(state)
        assert again.dump() == strategy.dump()
        for resumed in (again, strategy):
            resumed.handle_rewards([Reward(waiting[0], measure(CONDITIONAL, waiting[0].config))])
        assert again.generate_tasks(2, pending=waiting) == strategy.generate_tasks(2, pending=waiting)
        assert self.search(again, rounds=3) == self.search(strategy, rounds=3)

    def test_a_state_of_something_else_is_refused(self, bound: Any) -> None:
        state = bound(FINITE).dump()
        with pytest.raises(SpecError, match="space"):
            bound(CONDITIONAL).load(state)
        with pytest.raises(SpecError, match="objectives"):
            bound(FINITE, GOALS["min"]).load(state)
        with pytest.raises(SpecError, match="version"):
            bound(FINITE).load({**state, "version": -1})
        with pytest.raises(SpecError, match="strategy"):
            bound(FINITE).load({**state, "strategy": "something else"})

    def test_binding_again_starts_anew(self, bound: Any) -> None:
        strategy = bound(FINITE)
        first = self.search(strategy, FINITE, rounds=4)
        strategy.bind_space(FINITE, [ACCURACY], seed=0)
        assert self.search(strategy, FINITE, rounds=4) == first

    def test_it_says_when_it_has_no_space(self, make: Callable[[], SearchStrategy]) -> None:
        with pytest.raises(RuntimeError, match="bind_space"):
            make().generate_tasks(1)

    @pytest.mark.parametrize("seed", [-1, 1.5, True])
    def test_a_seed_is_an_integer_of_at_least_zero(self, make: Callable[[], SearchStrategy], seed: Any) -> None:
        with pytest.raises(SpecError, match="seed"):
            make().bind_space(FINITE, [ACCURACY], seed=seed)

    def test_objectives_are_checked(self, make: Callable[[], SearchStrategy]) -> None:
        with pytest.raises(SpecError, match="at least one"):
            make().bind_space(FINITE, [], seed=0)

    def test_warming_up_changes_nothing(self, bound: Any) -> None:
        strategy = bound()
        before = strategy.dump()
        strategy.warm_up()
        assert strategy.dump() == before

    # ------------------------------------------------------------------------------------- a space that changes

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
        keys = {CONDITIONAL.config_hash(candidate.config) for candidate in seen}
        assert len(keys) == len(seen)
        again = [candidate for candidate in strategy.generate_tasks(4) if CONDITIONAL.is_valid(candidate.config)]
        assert len(again) == 4
        assert not keys & {CONDITIONAL.config_hash(candidate.config) for candidate in again}

    @pytest.mark.parametrize("change", range(4))
    def test_a_changed_search_goes_on_exactly_after_a_dump(self, bound: Any, change: int) -> None:
        strategy = bound()
        self.search(strategy, rounds=7)
        waiting = strategy.generate_tasks(1)
        space = CHANGES[change](CONDITIONAL)
        strategy.change_space(space)
        again = bound(space, seed=99)
        again.load(json.loads(json.dumps(strategy.dump(), allow_nan=False)))
        assert again.dump() == strategy.dump()
        assert again.generate_tasks(2, pending=waiting) == strategy.generate_tasks(2, pending=waiting)
        for resumed in (again, strategy):
            resumed.handle_rewards([Reward(waiting[0], measure(CONDITIONAL, waiting[0].config))])
        assert self.search(again, space, rounds=2) == self.search(strategy, space, rounds=2)
        for resumed in (again, strategy):
            resumed.change_space(CONDITIONAL)
        assert again.generate_tasks(2) == strategy.generate_tasks(2)

    def test_items_of_an_order_may_come_and_go(self, bound: Any) -> None:
        strategy = bound(ORDERS)
        self.search(strategy, ORDERS, rounds=6)
        waiting = strategy.generate_tasks(1)
        space = ORDERS.edit("kind.free.order", items=["b", "c", "d", "e", "f"])
        strategy.change_space(space)
        again = bound(space, seed=99)
        again.load(json.loads(json.dumps(strategy.dump(), allow_nan=False)))
        found = strategy.generate_tasks(2, pending=waiting)
        assert found == again.generate_tasks(2, pending=waiting)
        for candidate in found:
            space.validate(candidate.config)
        strategy.handle_rewards([Reward(one, measure(space, one.config)) for one in (*waiting, *found)])

    def test_a_space_that_is_exhausted_goes_on_where_it_is_widened(self, bound: Any) -> None:
        strategy = bound(FINITE)
        self.search(strategy, FINITE, rounds=12, count=1)
        assert strategy.generate_tasks(1) == []
        wider = FINITE.edit("a", range=["x", "y", "z", "w"])
        strategy.change_space(wider)
        assert [candidate.config for candidate in self.search(strategy, wider, rounds=2, count=1)] == [{"a": "w"}]

    # ------------------------------------------------------------------------------------------------- learning

    @pytest.mark.parametrize("goal", ["max", "min"])
    def test_what_was_learned_shows(self, bound: Any, goal: Any) -> None:
        space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\nc: {type: choice, range: {a, b, c, d}}")
        sign = 1.0 if goal == "max" else -1.0

        def value(config: dict[str, Any]) -> float:
            return sign * ("abcd".index(config["c"]) - 4 * (config["x"] - 0.3) ** 2)

        def run(weight: float) -> list[dict[str, Any]]:
            strategy = bound(space, [Objective("value", goal)])
            found = []
            for _ in range(40):
                for candidate in strategy.generate_tasks(1):
                    found.append(candidate.config)
                    strategy.handle_rewards([Reward(candidate, {"value": weight * value(candidate.config)})])
            return found

        found = run(1.0)
        if self.learns:
            worth = [sign * value(config) for config in found]
            assert np.mean(worth[-10:]) > np.mean(worth[:10]) + 0.5
        else:
            assert found == run(-1.0)


OPS = ("none", "skip", "conv")

CHANGES: list[Callable[[SearchSpace], SearchSpace]] = [
    lambda space: space.edit("kind.tree.rate", range=[1e-5, 10.0]).edit("momentum", range=[0.2, 0.5]),
    lambda space: space.add("decay", {"type": "float", "range": [0.0, 1.0], "default": 0.25}),
    lambda space: space.edit("kind", range=["tree", "net", "wood"]).remove("scaled"),
    lambda space: space.edit("kind.net.layers", range=[1, 2]).edit("kind.net.layers.width", range=[32, 64, 128]),
]
"""Ranges widened and cut, a parameter added, a value and a parameter taken away, a value added, repeats cut."""
