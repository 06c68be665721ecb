from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.components.spec import JobPlan
from omniforge.components.worker.early_stopping import EarlyStopping
from omniforge.search import Candidate, Objective
from omniforge.store import JobRecord, Store, TaskRecord

ACCURACY = Objective("accuracy", "max")
AddTask = Callable[..., TaskRecord]


@pytest.fixture
def task(
    store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord], add_task: AddTask
) -> TaskRecord:
    """A task that is being trained, after six others whose accuracy rose from 0.6 to 0.8 in four steps."""
    make_job(make_plan())
    for _ in range(6):
        other = add_task(reserve=True)
        for step in range(1, 5):
            store.broker.progress(other, step, {"accuracy": 0.55 + 0.0625 * step, "log_loss": 1.0 / step})
        assert store.broker.report(store.broker.start(other), "succeeded", {"accuracy": 0.8})
    return store.broker.start(add_task(reserve=True))


def test_a_candidate_below_the_median_is_stopped(store: Store, task: TaskRecord) -> None:
    stopping = EarlyStopping(store, task, objective=ACCURACY, enabled=True)
    assert stopping(3, {"accuracy": 0.2})
    assert stopping.stopped_at == 3


def test_a_good_candidate_goes_on_and_a_dip_does_not_stop_it(store: Store, task: TaskRecord) -> None:
    stopping = EarlyStopping(store, task, objective=ACCURACY, enabled=True)
    assert not stopping(2, {"accuracy": 0.9})
    assert not stopping(3, {"accuracy": 0.2})
    assert stopping.stopped_at is None


def test_a_minimized_metric_is_read_the_other_way(store: Store, task: TaskRecord) -> None:
    loss = Objective("log_loss", "min")
    assert not EarlyStopping(store, task, objective=loss, enabled=True)(3, {"log_loss": 0.1})
    assert EarlyStopping(store, task, objective=loss, enabled=True)(3, {"log_loss": 5.0})


def test_progress_is_recorded_whether_or_not_it_may_stop(store: Store, task: TaskRecord) -> None:
    stopping = EarlyStopping(store, task, objective=ACCURACY, enabled=False)
    assert not stopping(3, {"accuracy": 0.0, "log_loss": 9.0})
    assert store.broker.curves("job")[task.id] == [(3, {"accuracy": 0.0, "log_loss": 9.0})]


def test_progress_without_the_primary_metric_says_nothing(store: Store, task: TaskRecord) -> None:
    stopping = EarlyStopping(store, task, objective=ACCURACY, enabled=True)
    assert not stopping(3, {"log_loss": 9.0})
    assert task.id not in store.broker.curves("job")


def test_the_first_candidates_are_never_stopped_and_ones_own_curve_does_not_count(
    store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord], add_task: AddTask
) -> None:
    make_job(make_plan())
    for _ in range(4):
        store.broker.progress(add_task(reserve=True), 3, {"accuracy": 0.9})
    stopping = EarlyStopping(store, store.broker.start(add_task(reserve=True)), objective=ACCURACY, enabled=True)
    assert not stopping(3, {"accuracy": 0.0})


def test_a_forecast_stops_what_will_not_beat_the_best(
    store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]
) -> None:
    make_job(make_plan())

    def begun() -> TaskRecord:
        (task,) = store.broker.put("job", [Candidate({"act": "fit", "strength": 1.0}, {"run_epochs": 12.0})])
        held = store.broker.reserve("job", "w", lease_s=30.0)
        assert held is not None
        assert held.id == task.id
        return store.broker.start(held)

    for level in (0.7, 0.75, 0.8, 0.85, 0.9):
        other = begun()
        for step in range(1, 13):
            store.broker.progress(other, step, {"accuracy": level - 0.3 / step})
        assert store.broker.report(other, "succeeded", {"accuracy": level})
    task = begun()
    stopping = EarlyStopping(store, task, objective=ACCURACY, enabled=True, rule="learning-curve")
    decisions = [stopping(step, {"accuracy": 0.5 - 0.3 / step}) for step in range(1, 8)]
    assert not any(decisions[:3])  # a few points say nothing, whatever they are
    assert decisions[-1]
    good = EarlyStopping(store, task, objective=ACCURACY, enabled=True, rule="learning-curve")
    assert not any(good(step, {"accuracy": 1.0 - 0.6 / step}) for step in range(1, 12))
