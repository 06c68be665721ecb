from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from omniforge.components import leaderboard
from omniforge.components.job_estimator.controller import JobEstimator
from omniforge.components.job_estimator.waiting import Adaptive
from omniforge.components.spec import JobPlan, Phase
from omniforge.errors import JobFailedError, SpecError
from omniforge.search import Objective, SearchSpace
from omniforge.settings import Settings
from omniforge.store import JobRecord, Store, TaskRecord, open_store

MakePlan = Callable[..., JobPlan]
MakeJob = Callable[..., JobRecord]
Workers = Callable[..., Any]
LINE = {"x": {"type": "float", "range": [0.0, 1.0]}}


def score(task: TaskRecord) -> dict[str, Any]:
    return {"rewards": {"accuracy": 1 - abs(task.config["x"] - 0.3)}}


def observations(store: Store) -> list[dict[str, Any]]:
    """What the strategy was told, as its saved state has it."""
    state = store.strategies.load("job", "search")
    assert state is not None
    return list(state["strategy"]["history"]["observations"])


@pytest.mark.parametrize("wait", ["sync", "adaptive", "quantile", "async"])
def test_every_policy_evaluates_as_many_different_tasks_as_asked(
    wait: str, store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=13, wait=wait))
    with played_workers(score):
        summary = JobEstimator(store, "job", phase="search").run()
    tasks = store.broker.tasks("job")
    assert summary.counts["succeeded"] == len(tasks) == 13
    assert [task.number for task in tasks] == list(range(1, 14))
    assert len({task.config["x"] for task in tasks}) == 13
    assert {task.phase for task in tasks} == {"search"}
    assert all(task.fidelity == {"run_epochs": 2.0} for task in tasks)
    assert len(observations(store)) == 13
    assert store.broker.is_closed("job", "search")


def test_failures_count_as_tasks_and_are_told(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=10))

    def play(task: TaskRecord) -> dict[str, Any]:
        return {"state": "failed", "cause": "exception"} if task.number % 3 == 0 else score(task)

    with played_workers(play):
        summary = JobEstimator(store, "job", phase="search").run()
    assert (summary.counts["succeeded"], summary.counts["failed"]) == (7, 3)
    assert sum(seen["state"] == "failed" for seen in observations(store)) == 3


def test_a_straggler_times_out_and_holds_nobody_up(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=12))
    estimator = JobEstimator(store, "job", phase="search")
    estimator.policy = Adaptive(minimum_s=2.0)
    with played_workers(lambda task: None if task.number == 2 else score(task)):
        summary = estimator.run()
    assert (summary.counts["succeeded"], summary.counts["timeout"]) == (11, 1)
    (straggler,) = store.broker.tasks("job", states=("timeout",))
    assert (straggler.number, straggler.cause) == (2, "timeout")
    assert [seen["state"] for seen in observations(store)].count("timeout") == 1


def test_the_time_budget_ends_the_search_with_what_there_is(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=100_000, time_budget_s=2.0))
    with played_workers(lambda task: None if task.number == 3 else score(task)):
        summary = JobEstimator(store, "job", phase="search").run()
    tasks = store.broker.tasks("job")
    assert summary.counts["succeeded"] > 0
    assert all(task.finished for task in tasks)
    assert len(tasks) < 100_000
    assert tasks[2].state == "timeout"
    assert store.broker.is_closed("job", "search")


def test_a_cancelled_job_ends_the_search_and_leaves_it_open_for_a_resume(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers, until: Callable[..., Any]
) -> None:
    make_job(make_plan(space=LINE, trials=100_000))
    estimator = JobEstimator(store, "job", phase="search")
    with played_workers(score), ThreadPoolExecutor(1) as pool:
        running = pool.submit(estimator.run)
        until(lambda: store.broker.counts("job")["succeeded"] >= 3, "three tasks have succeeded")
        store.jobs.request_cancel("job")
        running.result(60)
    counts = store.broker.counts("job")
    assert counts["pending"] == 0
    assert counts["succeeded"] + counts["cancelled"] == sum(counts.values())
    assert not store.broker.is_closed("job", "search")
    assert not store.broker.is_closed("job", "search")


class Crash(Exception):
    pass


class Crashing:
    """One part of a store that crashes its caller around the ``nth`` call of a method."""

    def __init__(self, part: Any, method: str, *, nth: int, after: bool) -> None:
        self._part, self._method, self._nth, self._after = part, method, nth, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        return self._crashing(real) if name == self._method else real

    def _crashing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._nth -= 1
            if self._nth == 0 and not self._after:
                raise Crash
            result = real(*args, **kwargs)
            if self._nth == 0:
                raise Crash
            return result

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method", "nth"), [("broker", "put", 2), ("strategies", "save", 3)])
@pytest.mark.parametrize("strategy", ["random", {"seeded": {"configs": [{"x": 0.5}], "then": "sobol"}}])
def test_a_restart_goes_on_and_tells_nothing_twice(
    strategy: Any, part: str, method: str, nth: int, after: bool,
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers,
) -> None:  # fmt: skip
    make_job(make_plan(space=LINE, trials=12, strategy=strategy))
    parts = {"jobs": store.jobs, "broker": store.broker, "strategies": store.strategies}
    fragile: Any = SimpleNamespace(**{**parts, part: Crashing(parts[part], method, nth=nth, after=after)})
    with played_workers(score):
        with pytest.raises(Crash):
            JobEstimator(fragile, "job", phase="search").run()
        summary = JobEstimator(store, "job", phase="search").run()
    tasks = store.broker.tasks("job")
    assert summary.counts["succeeded"] == len(tasks) == len({task.config["x"] for task in tasks}) == 12
    state = store.strategies.load("job", "search") or {}
    assert state["told"] == [task.id for task in tasks]
    history = state["strategy"].get("inner", state["strategy"])["history"]
    assert sorted(seen["config"]["x"] for seen in history["observations"]) == sorted(t.config["x"] for t in tasks)


def test_a_job_that_is_cancelled_while_the_strategy_thinks_ends_without_an_error(
    store: Store, make_plan: MakePlan, make_job: MakeJob
) -> None:
    make_job(make_plan(space=LINE))
    estimator = JobEstimator(store, "job", phase="search")

    class Slow:
        """A broker to which candidates come when the job has just been cancelled."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store.broker, name)

        def put(self, *args: Any, **kwargs: Any) -> Any:
            store.jobs.request_cancel("job")
            return store.broker.put(*args, **kwargs)

    slow: Any = SimpleNamespace(jobs=store.jobs, strategies=store.strategies, broker=Slow())
    estimator.store = slow
    assert sum(estimator.run().counts.values()) == 0


def test_a_closed_phase_is_not_searched_again(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=3))
    with played_workers(score):
        first = JobEstimator(store, "job", phase="search").run()
    assert JobEstimator(store, "job", phase="search").run().counts == first.counts  # and no worker is there


def test_the_time_of_an_interruption_is_not_of_the_budget(
    settings: Settings, store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    with open_store(settings.resolved_store_url, clock=lambda: time.time() - 7200) as two_hours_ago:
        make_job(make_plan(space=LINE, trials=9, time_budget_s=600.0))
        fragile: Any = SimpleNamespace(
            jobs=two_hours_ago.jobs,
            strategies=two_hours_ago.strategies,
            broker=Crashing(two_hours_ago.broker, "put", nth=2, after=False),
        )
        with played_workers(score), pytest.raises(Crash):
            JobEstimator(fragile, "job", phase="search").run()
    assert (store.strategies.load("job", "search") or {})["spent_s"] < 60
    with played_workers(score):
        assert JobEstimator(store, "job", phase="search").run().counts["succeeded"] == 9


def test_when_all_fail_the_error_has_the_causes(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, trials=100))

    def play(task: TaskRecord) -> dict[str, Any]:
        if task.number == 1:
            return {"state": "failed", "cause": "out_of_memory", "message": "ended at its limit"}
        return {"state": "failed", "cause": "exception", "message": "no such file"}

    with played_workers(play), pytest.raises(JobFailedError) as caught:
        JobEstimator(store, "job", phase="search").run()
    assert "x exception: no such file" in caught.value.message
    assert "1 x out_of_memory: ended at its limit" in caught.value.message
    assert "omniforge jobs show job" in (caught.value.hint or "")
    assert 12 <= len(store.broker.tasks("job")) < 20


def test_a_finite_space_that_is_exhausted_ends_the_search(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space={"x": {"type": "int", "range": [1, 5]}}, trials=50))
    with played_workers(score):
        summary = JobEstimator(store, "job", phase="search").run()
    assert summary.counts["succeeded"] == len(store.broker.tasks("job")) == 5
    assert store.broker.is_closed("job", "search")


def test_an_earlier_phase_has_its_own_tasks_and_no_time_budget(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    smoke = Phase("smoke", 2, {"seeded": {"configs": [{"x": 0.25}], "then": "random"}}, {"run_epochs": 1.0})
    plan = make_plan(space=LINE, phases=[smoke, Phase("search", 4, "random", None)], time_budget_s=1e-3)
    make_job(plan)
    with played_workers(score, phase="smoke"):
        summary = JobEstimator(store, "job", phase="smoke").run()
    tasks = store.broker.tasks("job")
    assert summary.phase == "smoke"
    assert [task.phase for task in tasks] == ["smoke", "smoke"]
    assert tasks[0].config == {"x": 0.25}
    assert tasks[0].fidelity == {"run_epochs": 1.0}
    with pytest.raises(SpecError, match="no phase 'default'"):
        JobEstimator(store, "job", phase="default")


# -- a space that changes


def change(store: Store, space: dict[str, Any]) -> None:
    """Give the job another version of its space, as a person does."""
    before = (store.jobs.get("job").plan or {})["space_hash"]
    after = SearchSpace.from_dict(space)
    store.jobs.change_space("job", after.to_dict(), space_hash=after.hash, before=before)


@pytest.mark.parametrize("wait", ["adaptive", "quantile"])
@pytest.mark.parametrize("strategy", ["random", {"seeded": {"configs": [{"x": 0.5}], "then": {"bo": {"initial": 4}}}}])
def test_a_live_job_goes_on_in_the_space_that_it_is_given(
    wait: str, strategy: Any, store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers,
    until: Callable[..., Any],
) -> None:  # fmt: skip
    make_job(
        make_plan(space=LINE, space_hash=SearchSpace.from_dict(LINE).hash, trials=60, strategy=strategy, wait=wait)
    )
    wider = {"x": {"type": "float", "range": [0.0, 9.0]}, "on": {"type": "bool"}}
    begun_before: list[int] = []

    def play(task: TaskRecord) -> dict[str, Any]:
        if task.number == 9:
            begun_before.extend(t.id for t in store.broker.tasks("job"))
            change(store, wider)
        return {"rewards": {"accuracy": -abs(task.config["x"] - 7.0)}}

    with played_workers(play), ThreadPoolExecutor(1) as pool:
        summary = pool.submit(JobEstimator(store, "job", phase="search").run).result(60)
    tasks = store.broker.tasks("job")
    assert summary.counts["succeeded"] == len(tasks) == 60  # what was under way has finished and counts
    later = [task for task in tasks if task.id not in begun_before]
    assert all("on" not in task.config for task in tasks if task.id in begun_before)
    fresh = [task for task in later if "on" in task.config]
    assert len(fresh) >= 20  # tasks of a hundredth of a second are proposed far ahead
    assert max(task.config["x"] for task in fresh) > 1.0
    state = store.strategies.load("job", "search") or {}
    history = state["strategy"].get("inner", state["strategy"])["history"]
    assert len(history["observations"]) == 60
    assert state["space_version"] == 2


def test_what_nobody_has_begun_and_the_new_space_does_not_hold_is_cancelled(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers, until: Callable[..., Any]
) -> None:
    make_job(make_plan(space=LINE, space_hash=SearchSpace.from_dict(LINE).hash, trials=12))
    estimator = JobEstimator(store, "job", phase="search")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(estimator.run)
        until(lambda: store.broker.counts("job")["pending"] >= 2, "two tasks are proposed")
        change(store, {"x": {"type": "float", "range": [5.0, 6.0]}})
        with played_workers(lambda task: {"rewards": {"accuracy": task.config["x"]}}):
            summary = running.result(60)
    tasks = store.broker.tasks("job")
    assert summary.counts["succeeded"] == 12
    assert {task.state for task in tasks if task.config["x"] < 5.0} <= {"cancelled", "succeeded"}
    assert sum(task.config["x"] >= 5.0 for task in tasks) >= 9


def test_a_space_that_was_changed_while_nobody_drove_the_job(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    make_job(make_plan(space=LINE, space_hash=SearchSpace.from_dict(LINE).hash, trials=40))
    fragile: Any = SimpleNamespace(
        jobs=store.jobs, broker=store.broker, strategies=Crashing(store.strategies, "save", nth=4, after=True)
    )
    with played_workers(score), pytest.raises(Crash):
        JobEstimator(fragile, "job", phase="search").run()
    change(store, {"x": {"type": "float", "range": [0.0, 0.5]}})
    change(store, {"x": {"type": "float", "range": [0.0, 1.0]}, "y": {"type": "int", "range": [1, 9]}})
    with played_workers(score):
        summary = JobEstimator(store, "job", phase="search").run()
    assert summary.counts["succeeded"] == len([t for t in store.broker.tasks("job") if t.state == "succeeded"]) == 40
    assert any("y" in task.config for task in store.broker.tasks("job"))
    state = store.strategies.load("job", "search") or {}
    assert state["space_version"] == 3
    assert len(state["strategy"]["history"]["observations"]) == 40


def test_a_job_with_a_fidelity_strategy_trains_a_little_first_and_its_winner_in_full(
    store: Store, make_plan: MakePlan, make_job: MakeJob, played_workers: Workers
) -> None:
    asked = {"asha": {"fidelity": "run_epochs", "low": 1, "high": 9}}
    make_job(make_plan(space=LINE, trials=24, strategy=asked))
    seen: list[tuple[float, float]] = []

    def play(task: TaskRecord) -> dict[str, Any]:
        assert task.fidelity is not None
        epochs = task.fidelity["run_epochs"]
        seen.append((task.config["x"], epochs))
        # a little training flatters what is far from the best
        return {"rewards": {"accuracy": 1 - abs(task.config["x"] - 0.3) / epochs}}

    with played_workers(play):
        JobEstimator(store, "job", phase="search").run()
    assert seen[0][1] == 1
    assert {epochs for _, epochs in seen} == {1, 3, 9}
    tasks = store.broker.tasks("job")
    best = leaderboard.winner(tasks, [Objective("accuracy", "max")])
    assert best is not None
    assert best.fidelity == {"run_epochs": 9.0}
