from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omniforge.components.spec import JobPlan
from omniforge.components.worker.heartbeat import Heartbeat
from omniforge.store import JobRecord, Store, TaskRecord

LEASE_S = 0.9
PATIENCE_S = 30.0
AddTask = Callable[..., TaskRecord]
Until = Callable[..., Any]


@pytest.fixture
def heartbeat(store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]) -> Heartbeat:
    make_job(make_plan())
    store.workers.register("w", job_id="job", pid=1, host="here")
    return Heartbeat(store, "w", lease_s=LEASE_S)


def test_a_held_task_outlives_its_first_lease(
    store: Store, heartbeat: Heartbeat, add_task: AddTask, until: Until
) -> None:
    task = store.broker.start(add_task(reserve=True, lease_s=LEASE_S))
    first = task.lease_expires_at
    assert first is not None
    with heartbeat, heartbeat.holding(task) as lost:
        until(lambda: (store.broker.get(task.id).lease_expires_at or first) > first, "the lease was prolonged")
        assert not lost.is_set()
        assert store.broker.get(task.id).state == "running"


@pytest.mark.parametrize("end", ["timeout", "cancel", "job"])
def test_a_task_that_is_no_longer_wanted_is_noticed(
    end: str, store: Store, heartbeat: Heartbeat, add_task: AddTask
) -> None:
    task = store.broker.start(add_task(reserve=True, lease_s=30.0))
    with heartbeat, heartbeat.holding(task) as lost:
        if end == "job":
            store.jobs.request_cancel("job")
        else:
            getattr(store.broker, end)(task.id)
        assert lost.wait(PATIENCE_S)


def test_the_loss_of_a_task_is_not_the_loss_of_the_next(
    store: Store, heartbeat: Heartbeat, add_task: AddTask, until: Until
) -> None:
    first = store.broker.start(add_task(reserve=True))
    with heartbeat:
        with heartbeat.holding(first) as lost:
            store.broker.timeout(first.id)
            assert lost.wait(PATIENCE_S)
        second = store.broker.start(add_task(reserve=True, lease_s=LEASE_S))
        begun = second.lease_expires_at
        assert begun is not None
        with heartbeat.holding(second) as still_held:
            until(lambda: (store.broker.get(second.id).lease_expires_at or begun) > begun, "the next one is held")
            assert not still_held.is_set()


def test_the_worker_says_what_it_does(store: Store, heartbeat: Heartbeat, add_task: AddTask, until: Until) -> None:
    task = store.broker.start(add_task(reserve=True))
    with heartbeat:
        until(lambda: store.workers.get("w").state == "idle", "it is idle")
        with heartbeat.holding(task):
            until(lambda: store.workers.get("w").state == "busy", "it is busy")
            assert store.workers.get("w").task_id == task.id
    stopped = store.workers.get("w")
    assert (stopped.state, stopped.task_id) == ("stopped", None)


def test_a_store_that_refuses_does_not_end_the_worker(
    store: Store, make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord], until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    make_job(make_plan())
    with Heartbeat(store, "never", lease_s=LEASE_S):
        pass
    assert "There is no worker 'never'" in caplog.text
    caplog.clear()
    with Heartbeat(store, "unknown", lease_s=LEASE_S):
        until(lambda: "There is no worker 'unknown'" in caplog.text, "a beat was refused")
        store.workers.register("unknown", job_id="job", pid=1, host="here")
        until(lambda: store.workers.get("unknown").state == "idle", "the next one was recorded")
