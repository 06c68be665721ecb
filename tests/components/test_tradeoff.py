from __future__ import annotations

from collections.abc import Callable

from omniforge.components.tradeoff import explain_knee
from omniforge.search import Objective
from omniforge.store import TaskRecord

ACCURACY = Objective("accuracy", "max")
LATENCY = Objective("latency_ms", "min")


def test_the_knee_is_compared_with_its_neighbours(make_task: Callable[..., TaskRecord]) -> None:
    values = [(0.90, 9.0), (0.89, 1.0), (0.60, 0.5), (0.50, 8.0)]
    tasks = [make_task(i, {}, {"accuracy": a, "latency_ms": b}) for i, (a, b) in enumerate(values)]
    explained = explain_knee(tasks, [ACCURACY, LATENCY])
    assert explained is not None
    assert explained.task.number == 1
    assert "front of 3 tasks" in explained.reason
    assert (
        "The best in accuracy (task 0) would gain accuracy 0.9 instead of 0.89 (+1.1 %), "
        "for latency_ms 9 instead of 1 (9 x more)." in explained.reason
    )
    assert (
        "The next one with worse accuracy (task 2) would gain latency_ms 0.5 instead of 1 (2 x less), for accuracy 0.6"
        in explained.reason
    )


def test_one_task_that_is_best_in_everything_needs_no_comparison(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(i, {}, {"accuracy": 0.9 - 0.1 * i, "latency_ms": 1.0 + i}) for i in range(3)]
    explained = explain_knee(tasks, [ACCURACY, LATENCY])
    assert explained is not None
    assert explained.task.number == 0
    assert "nothing has to be traded" in explained.reason


def test_without_a_task_that_keeps_the_bound_it_says_so(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(0, {}, {"accuracy": 0.9, "latency_ms": 9.0})]
    explained = explain_knee(tasks, [ACCURACY, Objective("latency_ms", "min", bound=1.0)])
    assert explained is not None
    assert "latency_ms <= 1" in explained.reason


def test_nothing_measured_has_no_knee(make_task: Callable[..., TaskRecord]) -> None:
    assert explain_knee([make_task(0, {}, {"accuracy": 0.9})], [ACCURACY, LATENCY]) is None


def test_what_only_bounds_is_no_gain_and_an_only_task_is_called_so(make_task: Callable[..., TaskRecord]) -> None:
    watched = Objective("latency_ms", "min", bound=5.0, weight=0.0)
    tasks = [make_task(i, {}, {"accuracy": 0.9 - 0.1 * i, "latency_ms": 3.0 - i}) for i in range(3)]
    explained = explain_knee(tasks, [ACCURACY, watched])
    assert explained is not None
    assert "best in accuracy of those that keep every bound" in explained.reason
    only = explain_knee([*tasks[:1], make_task(9, {}, {"accuracy": 0.99})], [ACCURACY, watched])
    assert only is not None
    assert "the only task with a value" in only.reason
