from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import CONDITIONAL, StrategySuite, measure

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy
from omniforge.search.bo.transfer.strategy import TransferStrategy

from .conftest import GOAL, value

Make = Callable[..., dict[str, Any]]


def conditional_task() -> dict[str, Any]:
    """Return what a random search of the suite's space evaluated."""
    made = strategy("random")
    made.bind_space(CONDITIONAL, [Objective("accuracy", "max")], seed=7)
    configs = [candidate.config for candidate in made.generate_tasks(15)]
    return {"observations": [{"config": c, "metrics": measure(CONDITIONAL, c)} for c in configs]}


class TestMultiTask(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        options = {"tasks": [conditional_task()], "warm_start": 2}
        return lambda: strategy({"of-trans": options})


class TestRankWeighted(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        options = {"tasks": [conditional_task()], "method": "rgpe", "warm_start": 2}
        return lambda: strategy({"of-trans": options})


def best(choice: Any, space: SearchSpace, *, seed: int, evaluations: int) -> float:
    made = strategy(choice)
    made.bind_space(space, GOAL, seed=seed)
    out = -99.0
    for _ in range(evaluations):
        for candidate in made.generate_tasks(1):
            out = max(out, value(candidate.config))
            made.handle_rewards([Reward(candidate, {"score": value(candidate.config)})])
    return out


@pytest.mark.parametrize("method", ["multitask", "rgpe"])
def test_half_the_evaluations_are_enough(method: str, space: SearchSpace, task: Make) -> None:
    tasks = [task(), task(x=0.75, y=0.15, seed=3)]
    for seed in range(2):
        warm = best({"of-trans": {"tasks": tasks, "method": method}}, space, seed=seed, evaluations=9)
        assert warm > best("bo", space, seed=seed, evaluations=18) - 0.02


def test_winners_come_first_then_a_little_of_the_design(space: SearchSpace, task: Make) -> None:
    made = strategy({"of-trans": {"tasks": [task()], "warm_start": 2, "anchors": 1}})
    made.bind_space(space, GOAL, seed=0)
    found = [candidate.config for candidate in made.generate_tasks(3)]
    scored = sorted(task()["observations"], key=lambda row: row["metrics"]["score"])
    assert found[0] == scored[-1]["config"]
    assert found[1] in [row["config"] for row in scored[-5:]]
    assert found[2] == space.default()


def test_without_earlier_tasks_it_is_bayesian_optimization(space: SearchSpace) -> None:
    found = []
    for choice in ("of-trans", {"bo": {"surrogate": "gp"}}):
        made = strategy(choice)
        made.bind_space(space, GOAL, seed=0)
        for _ in range(10):
            for candidate in made.generate_tasks(1):
                made.handle_rewards([Reward(candidate, {"score": value(candidate.config)})])
                found.append(candidate.config)
    assert found[:10] == found[10:]


def test_earlier_tasks_are_seen_from_the_newest_space(space: SearchSpace, task: Make) -> None:
    document = {**task(), "space": space.to_dict()}
    made = strategy({"of-trans": {"tasks": [document], "warm_start": 30, "anchors": 0}})
    made.bind_space(space.edit("kind", range=["a", "c"]), GOAL, seed=0)
    kinds = {candidate.config["kind"] for candidate in made.generate_tasks(3)}
    assert kinds <= {"a", "c"}
    made.change_space(space)
    assert "b" in {candidate.config["kind"] for candidate in made.generate_tasks(1)}


def test_the_options_are_json_and_a_resumed_search_goes_on(space: SearchSpace, task: Make) -> None:
    choice = json.loads(json.dumps({"of-trans": {"tasks": [task()]}}))
    made, again = strategy(choice), strategy(choice)
    made.bind_space(space, GOAL, seed=0)
    for _ in range(8):
        for candidate in made.generate_tasks(1):
            made.handle_rewards([Reward(candidate, {"score": value(candidate.config)})])
    waiting = made.generate_tasks(2)
    again.bind_space(space, GOAL, seed=5)
    again.load(json.loads(json.dumps(made.dump())))
    assert again.generate_tasks(2, pending=waiting) == made.generate_tasks(2, pending=waiting)


def test_the_model_of_one_task_suits_the_space(space: SearchSpace, task: Make) -> None:
    cells = SearchSpace.from_yaml(
        "c: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}"
    )
    configs = cells.sample_many(12, np.random.default_rng(0))
    counted = [{"config": c, "metrics": {"score": list(c["c"].values()).count("conv")}} for c in configs]
    for where, document, base in ((cells, {"observations": counted}, "of"), (space, task(), "gp")):
        made = TransferStrategy(tasks=[document])
        made.bind_space(where, GOAL, seed=0)
        assert made._choices["surrogate"]["multitask"]["base"] == base  # type: ignore[call-overload, index]
        assert len(made.generate_tasks(2)) == 2


def test_several_objectives_are_learned_from_too(space: SearchSpace, task: Make) -> None:
    goals = [*GOAL, Objective("cost", "min")]
    document = task()
    for row in document["observations"]:
        row["metrics"]["cost"] = row["config"]["x"]
    made = strategy({"of-trans": {"tasks": [document]}})
    made.bind_space(space, goals, seed=0)
    for _ in range(10):
        for candidate in made.generate_tasks(1):
            metrics = {"score": value(candidate.config), "cost": candidate.config["x"]}
            made.handle_rewards([Reward(candidate, metrics)])
    assert len(made.generate_tasks(2)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "stack"}, "method is 'stack'"),
        ({"tasks": 3}, "tasks is 3"),
        ({"tasks": [{"observations": 3}]}, r"tasks\[0\]"),
        ({"warm_start": -1}, "warm_start is -1"),
        ({"surrogate": "gpp"}, "gpp"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=said):
        strategy({"of-trans": options})


def test_it_is_made_and_bound_without_torch() -> None:
    code = """
        import sys
        from omniforge.search import Objective, SearchSpace, strategy
        task = {"observations": [{"config": {"x": x / 9}, "metrics": {"score": x}} for x in range(9)]}
        made = strategy({"of-trans": {"tasks": [task]}})
        made.bind_space(SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}"), [Objective("score", "max")], seed=0)
        made.generate_tasks(1)
        print("torch" in sys.modules)
    """
    lines = "\n".join(line.strip() for line in code.strip().splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_candidate_of_an_earlier_task_is_no_observation_here(space: SearchSpace, task: Make) -> None:
    made = strategy({"of-trans": {"tasks": [task()]}})
    made.bind_space(space, GOAL, seed=0)
    made.handle_rewards([Reward(Candidate({"kind": "a", "x": 0.5, "y": 0.5}), {"score": 0.5})])
    assert len(made.dump()["history"]["observations"]) == 1
