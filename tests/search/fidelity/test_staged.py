from __future__ import annotations

from typing import Any

import pytest

from omniforge.errors import SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy

SPACE = SearchSpace.from_dict({"x": {"type": "int", "range": [1, 4]}})


def bound(**options: Any) -> SearchStrategy:
    made = strategy({"asha": {"low": 1, "high": 9, **options}})
    made.bind_space(SPACE, [Objective("score", "max")], seed=0)
    return made


def finish(made: SearchStrategy, candidates: list[Candidate]) -> None:
    made.handle_rewards([Reward(one, {"score": float(one.config["x"])}) for one in candidates])


def test_one_configuration_comes_again_at_a_higher_fidelity() -> None:
    made = bound()
    first = made.generate_tasks(4)
    assert {one.config["x"] for one in first} == {1, 2, 3, 4}
    assert made.generate_tasks(1) == []
    finish(made, first)
    assert made.generate_tasks(1) == [Candidate({"x": 4}, {"epochs": 3})]


def test_a_cancelled_continuation_may_come_again() -> None:
    made = bound()
    finish(made, made.generate_tasks(4))
    (again,) = made.generate_tasks(1)
    assert again not in made.generate_tasks(3)
    made.handle_rewards([Reward(again, {}, state="cancelled")])
    assert made.generate_tasks(1) == [again]


def test_a_pending_continuation_of_someone_else_is_waited_for() -> None:
    made = bound()
    finish(made, made.generate_tasks(4))
    pending = [Candidate({"x": 4}, {"epochs": 3})]
    assert made.generate_tasks(1, pending=pending)[0].config == {"x": 3}


def test_a_state_of_other_levels_or_another_planner_is_refused() -> None:
    state = bound().dump()
    bound().load(state)
    with pytest.raises(SpecError, match="levels"):
        bound(high=27).load(state)
    with pytest.raises(SpecError, match="planner"):
        bound(eta=4, high=9).load({**state, "extra": {**state["extra"], "levels": ["epochs", 1, 9]}})


def test_waiting_for_a_level_survives_a_restart() -> None:
    made = bound()
    finish(made, made.generate_tasks(4))
    (waiting,) = made.generate_tasks(1)
    again = bound()
    again.load(made.dump())
    assert waiting not in again.generate_tasks(6)
