from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from omniforge.adapters.optuna.trials import Metrics, metrics_of, propose, proposed
from omniforge.search import Objective

MIN, MAX = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
CONFIG = {"x": 0.5}


def trial(state: TrialState = TrialState.COMPLETE, **more: Any) -> FrozenTrial:
    return optuna.create_trial(state=state, params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, **more)


def test_directions_are_objectives_and_constraints_are_bounds() -> None:
    assert Metrics([MIN, MAX], ["memory (GB)", "0"]).objectives == [
        Objective("value_0", "min"),
        Objective("value_1", "max"),
        Objective("constraint_0", "min", bound=0.0, weight=0.0),
        Objective("constraint_memory__GB_", "min", bound=0.0, weight=0.0),
    ]


def test_a_complete_trial_is_a_reward() -> None:
    metrics = Metrics([MIN, MAX], ["0", "1"])
    reward = metrics.reward(trial(values=[1.0, 2.0], constraints={"1": 3.0}), CONFIG, finished=[])
    assert (reward.state, reward.candidate.config) == ("succeeded", CONFIG)
    assert reward.metrics == {"value_0": 1.0, "value_1": 2.0, "constraint_0": 0.0, "constraint_1": 3.0}
    assert reward.duration_s is not None


def test_a_failed_trial_is_a_failure() -> None:
    assert Metrics([MIN], []).reward(trial(TrialState.FAIL), CONFIG, finished=[1.0]).state == "failed"


@pytest.mark.parametrize(
    ("values", "finished", "expected"),
    [({0: 9.0, 3: 5.0}, [1.0, 2.0], 5.0), ({2: 0.1}, [1.0, 3.0], 2.0), ({2: 0.1}, [], 0.1)],
)
def test_a_pruned_trial_counts_as_behind(values: dict[int, float], finished: list[float], expected: float) -> None:
    pruned = trial(TrialState.PRUNED, intermediate_values=values)
    assert Metrics([MIN], []).reward(pruned, CONFIG, finished=finished).metrics == {"value_0": expected}


def test_a_pruned_trial_without_a_value_is_a_failure() -> None:
    for values in ({}, {3: math.nan}):
        assert (
            Metrics([MIN], []).reward(trial(TrialState.PRUNED, intermediate_values=values), CONFIG, finished=[]).state
            == "failed"
        )


def test_the_constraints_of_a_study_are_those_of_all_its_trials() -> None:
    study = optuna.create_study()
    study.add_trial(trial(value=1.0))
    study.add_trial(trial(value=1.0, constraints={"b": 1.0}))
    study.add_trial(trial(value=1.0, constraints={"a": 1.0}))
    assert [o.metric for o in metrics_of(study, study.trials).objectives] == ["value_0", "constraint_a", "constraint_b"]


def test_what_was_proposed_is_shared_through_the_storage() -> None:
    study = optuna.create_study()
    running = study.ask()
    params = {"x": 0.5, **{f"name{i}": "v" * 100 for i in range(60)}}
    propose(study, study.trials[0], params)
    assert proposed(study.trials[0]) == params
    running.suggest_float("x", 0.7, 0.7)
    assert proposed(study.trials[0]) == params | {"x": 0.7}
    propose(study, study.trials[0], {"x": 0.7})
    assert proposed(study.trials[0]) == {"x": 0.7}
    assert all(len(text) <= 2045 for text in study.trials[0].system_attrs.values())
    study._storage.set_trial_system_attr(running._trial_id, "omniforge:proposed:0", "{")
    assert proposed(study.trials[0]) == {"x": 0.7}
