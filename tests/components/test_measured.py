from __future__ import annotations

from collections.abc import Callable

from omniforge.components.measured import DEVICE_LOST, SKIPPED, as_predicted, told, unmeasured
from omniforge.store import TaskRecord

KEYS = ["accuracy", "latency_ms@pi"]


def test_what_was_measured_is_told_as_it_is(make_task: Callable[..., TaskRecord]) -> None:
    rewards = {"accuracy": 0.9, "latency_ms@pi": 2.0}
    assert told(make_task(1, {}, rewards), KEYS) == (rewards, "succeeded")


def test_a_prediction_stands_in_for_the_strategy_only(make_task: Callable[..., TaskRecord]) -> None:
    recorded = {"accuracy": 0.9, **as_predicted({"latency_ms@pi": 7.0})}
    task = make_task(1, {}, recorded, cause=SKIPPED)
    rewards, state = told(task, KEYS)
    assert (rewards["latency_ms@pi"], rewards["accuracy"], state) == (7.0, 0.9, "succeeded")
    assert "latency_ms@pi" not in task.rewards


def test_a_device_that_was_away_is_no_failure_of_the_candidate(make_task: Callable[..., TaskRecord]) -> None:
    assert told(make_task(1, {}, {"accuracy": 0.9}, cause=DEVICE_LOST), KEYS)[1] == "cancelled"
    assert told(make_task(1, {}, {"accuracy": 0.9}, cause=DEVICE_LOST), ["accuracy"])[1] == "succeeded"


def test_what_lacks_measurements_is_found(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [
        make_task(1, {}, {"a": 1.0}),
        make_task(2, {}, {"a": 1.0}, cause=SKIPPED),
        make_task(3, {}, cause="exception"),
    ]
    tasks.append(make_task(4, {}, {"a": 1.0}, cause=DEVICE_LOST))
    assert [task.number for task in unmeasured(tasks)] == [2, 4]
