from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from omniforge.components.deployment_estimator.policy import POLICIES, MeasuringPolicy, Skip
from omniforge.components.spec import JobPlan
from omniforge.components.worker.trial import LOST, Outcome
from omniforge.components.worker.worker import Worker
from omniforge.errors import StoreError
from omniforge.launch import Exit, ForkLauncher, Launcher, Workload
from omniforge.search import SearchSpace
from omniforge.settings import Settings
from omniforge.sidecar import Sidecar
from omniforge.store import JobRecord, Store, TaskRecord

AddTask = Callable[..., TaskRecord]


@pytest.fixture
def job(make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]) -> JobRecord:
    return make_job(make_plan())


@pytest.fixture
def make_worker(store: Store, settings: Settings, sidecar: Sidecar, launcher: ForkLauncher) -> Callable[..., Worker]:
    def make(*, launcher: Launcher = launcher) -> Worker:
        return Worker(
            store, "job", phase="search", worker_id="worker-1", settings=settings, sidecar=sidecar, launcher=launcher
        )

    return make


def close(store: Store) -> None:
    """Do what the job estimator does: close the phase when every task has ended."""

    def when_done() -> None:
        done = lambda counts: not (counts["pending"] + counts["reserved"] + counts["running"])  # noqa: E731
        assert store.broker.wait("job", done, 60, phase="search")
        store.broker.close_phase("job", "search")

    threading.Thread(target=when_done, daemon=True).start()


@pytest.mark.fault
def test_it_works_until_the_phase_is_closed_and_reports_everything_once(
    job: JobRecord, store: Store, make_worker: Callable[..., Worker], add_task: AddTask
) -> None:
    fitted, refused, killed = add_task("fit"), add_task("refuse"), add_task("kill", max_attempts=2)
    other = add_task("fit", phase="default")
    close(store)
    outcomes: list[tuple[int, Outcome]] = []
    assert make_worker().run(lambda task, outcome: outcomes.append((task.id, outcome))) == 2
    good = store.broker.get(fitted.id)
    assert (good.state, good.attempt, good.worker_id) == ("succeeded", 1, "worker-1")
    assert good.rewards["accuracy"] > 0.6
    assert good.duration_s is not None
    bad = store.broker.get(refused.id)
    assert (bad.state, bad.cause, bad.attempt) == ("failed", "exception", 1)
    assert "I would rather not" in (bad.message or "")
    tried = store.broker.get(killed.id)
    assert (tried.state, tried.cause, tried.attempt) == ("failed", "killed", 2)
    assert store.broker.get(other.id).state == "pending"
    assert [task_id for task_id, _ in outcomes].count(killed.id) == 2
    assert len(outcomes) == 4
    (worker,) = store.workers.list("job")
    assert (worker.state, worker.task_id) == ("stopped", None)


def test_the_progress_of_a_task_is_a_curve(
    job: JobRecord, store: Store, make_worker: Callable[..., Worker], add_task: AddTask
) -> None:
    task = add_task("fit")
    close(store)
    make_worker().run()
    curve = store.broker.curves("job")[task.id]
    assert curve[0][0] == 1
    assert curve[0][1]["accuracy"] > 0.3


def test_it_ends_when_the_job_is_cancelled(
    job: JobRecord, store: Store, make_worker: Callable[..., Worker], add_task: AddTask
) -> None:
    task = add_task("fit")
    store.jobs.request_cancel("job")
    assert make_worker().run() == 0
    assert store.broker.get(task.id).state == "cancelled"


@pytest.mark.fault
def test_a_task_that_is_given_up_is_ended_and_the_next_one_taken(
    job: JobRecord, store: Store, make_plan: Callable[..., JobPlan], make_worker: Callable[..., Worker],
    add_task: AddTask, until: Callable[..., Any],
) -> None:  # fmt: skip
    store.jobs.set_plan("job", make_plan(lease_s=1.5).to_dict())
    hanging, next_one = add_task("hang"), add_task("fit")
    close(store)
    outcomes: list[tuple[int, str]] = []

    def give_up() -> None:
        until(lambda: store.broker.get(hanging.id).state == "running", "the task is running")
        store.broker.timeout(hanging.id)

    with ThreadPoolExecutor(1) as pool:
        given_up = pool.submit(give_up)
        assert make_worker().run(lambda task, outcome: outcomes.append((task.id, outcome.state))) == 1
        given_up.result()
    assert outcomes == [(hanging.id, LOST), (next_one.id, "succeeded")]
    assert store.broker.get(hanging.id).state == "timeout"


class EndedHandle:
    """A process that has ended."""

    pid = 1

    def __init__(self, ending: Exit) -> None:
        self.ending = ending

    def poll(self) -> Exit:
        return self.ending

    def wait(self, timeout_s: float | None = None) -> Exit:
        return self.ending

    def cancel(self) -> None:
        pass

    def logs(self) -> str:
        return ""


class TooLate(Launcher):
    """A launcher whose processes end when their task has just been taken back."""

    def __init__(self, store: Store, ending: Exit) -> None:
        self.store = store
        self.ending = ending

    def launch(self, workload: Workload) -> EndedHandle:
        (task,) = self.store.broker.tasks("job", states=("reserved", "running"))
        self.store.broker.release(task, cause="lost_worker")
        return EndedHandle(self.ending)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("ending", [Exit(1, None, "exception", 0.1), Exit(None, 9, "killed", 0.1)], ids=str)
def test_an_outcome_that_comes_too_late_changes_nothing(
    ending: Exit, job: JobRecord, store: Store, make_worker: Callable[..., Worker], add_task: AddTask
) -> None:
    task = add_task("fit", max_attempts=2)
    close(store)
    assert make_worker(launcher=TooLate(store, ending)).run() == 0
    late = store.broker.get(task.id)
    assert (late.state, late.cause, late.attempt) == ("failed", "lost_worker", 2)


def test_what_a_task_is_evaluated_with_follows_from_the_plan(
    job: JobRecord,
    store: Store,
    settings: Settings,
    make_plan: Callable[..., JobPlan],
    make_worker: Callable[..., Worker],
    add_task: AddTask,
) -> None:
    task = add_task("fit")
    plain = make_worker().request(task)
    assert (plain.devices, plain.export, plain.space) == ((), None, None)
    assert plain.folder == settings.job_path("job")
    other_space = {"act": {"type": "constant", "value": "fit"}, "strength": {"type": "float", "range": [0.1, 1.0]}}
    store.jobs.set_plan("job", make_plan(devices=["local"], space=other_space, space_hash="other").to_dict())
    asked = make_worker().request(task)
    assert (asked.devices, asked.export, asked.space) == (("local",), "required", other_space)


def test_a_task_is_checked_against_the_version_of_the_space_that_it_is_of(
    job: JobRecord, store: Store, make_worker: Callable[..., Worker], add_task: AddTask
) -> None:
    worker = make_worker()
    inside, beyond = add_task("fit", strength=1.0), add_task("fit", strength=900.0)
    own = SearchSpace.from_dict((job.plan or {})["space"])
    wider = own.edit("strength", range=[0.01, 1000])
    store.jobs.change_space("job", wider.to_dict(), space_hash=wider.hash, before=own.hash)
    assert worker.request(inside).space is None  # valid in the estimator's own, which this worker knows
    assert worker.request(beyond).space == wider.to_dict()


class Watched(Launcher):
    """A launcher that records which process was started while which others ran."""

    def __init__(self, inner: Launcher) -> None:
        self.inner = inner
        self.alive: dict[str, Any] = {}
        self.beside: list[tuple[str, list[str]]] = []

    def launch(self, workload: Workload) -> Any:
        running = [name for name, handle in self.alive.items() if handle.poll() is None]
        name = f"{workload.entry.rpartition('.')[2]} {workload.name}"
        self.beside.append((name, running))
        handle = self.alive[name] = self.inner.launch(workload)
        return handle

    def close(self) -> None:
        pass


def test_the_next_candidate_is_trained_while_a_device_measures(
    job: JobRecord, store: Store, launcher: ForkLauncher, make_plan: Callable[..., JobPlan],
    make_worker: Callable[..., Worker], add_task: AddTask,
) -> None:  # fmt: skip
    store.jobs.set_plan("job", make_plan(devices=["local"]).to_dict())
    tasks = [add_task("fit") for _ in range(3)]
    close(store)
    watched = Watched(launcher)
    assert make_worker(launcher=watched).run() == 3
    for task in tasks:
        done = store.broker.get(task.id)
        assert (done.state, done.device) == ("succeeded", "local")
        assert done.rewards["latency_ms"] > 0
    overlaps = [
        name for name, running in watched.beside if name.startswith("tte") and any(r.startswith("dte") for r in running)
    ]
    overlaps += [
        name for name, running in watched.beside if name.startswith("dte") and any(r.startswith("tte") for r in running)
    ]
    assert overlaps, watched.beside


class Hopeless(MeasuringPolicy):
    """A policy that measures nothing."""

    def decide(self, task: TaskRecord, scores: Mapping[str, float]) -> Skip | None:
        return Skip("it would be too slow", {"latency_ms": 5.0})


def test_a_hopeless_candidate_is_not_measured_and_says_so(
    job: JobRecord,
    store: Store,
    make_plan: Callable[..., JobPlan],
    make_worker: Callable[..., Worker],
    add_task: AddTask,
) -> None:
    POLICIES.register("hopeless", Hopeless)
    store.jobs.set_plan("job", make_plan(devices=["local"], measure="hopeless").to_dict())
    task = add_task("fit")
    close(store)
    assert make_worker().run() == 1
    skipped = store.broker.get(task.id)
    assert (skipped.state, skipped.cause, skipped.device) == ("succeeded", "not_measured", None)
    assert skipped.message == "it would be too slow"
    assert skipped.rewards.keys() == {"accuracy", "predicted_latency_ms"}


class Broken(MeasuringPolicy):
    """A policy whose store is gone."""

    def decide(self, task: TaskRecord, scores: Mapping[str, float]) -> Skip | None:
        raise StoreError("the store is gone")


@pytest.mark.fault
def test_what_goes_wrong_while_measuring_ends_the_worker_and_holds_nothing(
    job: JobRecord,
    store: Store,
    make_plan: Callable[..., JobPlan],
    make_worker: Callable[..., Worker],
    add_task: AddTask,
) -> None:
    POLICIES.register("broken", Broken)
    store.jobs.set_plan("job", make_plan(devices=["local"], measure="broken", lease_s=1.0).to_dict())
    tasks = [add_task("fit") for _ in range(3)]
    with pytest.raises(StoreError, match="gone"):
        make_worker().run()

    def given_back() -> bool:
        store.broker.expire("job")
        return all(store.broker.get(task.id).state == "pending" for task in tasks)

    deadline = time.monotonic() + 30
    while not given_back():
        assert time.monotonic() < deadline, [store.broker.get(task.id).state for task in tasks]
        time.sleep(0.1)
