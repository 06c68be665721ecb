"""Tasks from put to report: order, leases, attempts, exactly one accepted report for each attempt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from conformance.store_base import FakeClock, StoreBase, candidates, reserved, seconds

from omniforge.errors import RecordNotFoundError, SpecError, StaleAttemptError, StoreError
from omniforge.search import Candidate
from omniforge.store import FINISHED_TASK_STATES, TASK_STATES, Store


class BrokerSuite(StoreBase):
    def test_put_numbers_tasks_in_order_and_keeps_the_candidate(self, store: Store, job: str, clock: FakeClock) -> None:
        config = {"b[1].x": 1, "a": "text", "deep": {"z": [1.5, None, True]}, "é": 1e-300}
        [first] = store.broker.put(job, [Candidate(config=config)], phase="smoke", max_attempts=2)
        more = store.broker.put(job, candidates(2))
        assert list(first.config.items()) == list(config.items())
        assert (first.number, first.phase, first.fidelity, first.max_attempts) == (1, "smoke", None, 2)
        assert [task.number for task in more] == [2, 3]
        assert more[0].fidelity == {"epochs": 3.0}
        assert (more[0].state, more[0].attempt, more[0].worker_id, more[0].rewards) == ("pending", 1, None, {})
        assert more[0].created_at.timestamp() == clock.now
        assert store.broker.tasks(job) == [first, *more]

    def test_put_takes_numpy_scalars_and_nothing(self, store: Store, job: str) -> None:
        [task] = store.broker.put(job, [Candidate(config={"n": np.int64(3), "x": np.float32(0.5)})])
        assert task.config == {"n": 3, "x": 0.5}
        assert store.broker.put(job, []) == []

    def test_put_saves_all_or_nothing(self, store: Store, job: str) -> None:
        with pytest.raises(SpecError, match="configuration"):
            store.broker.put(job, [*candidates(2), Candidate(config={"x": float("nan")})])
        assert store.broker.tasks(job) == []

    def test_put_needs_a_job_that_is_not_cancelled(self, store: Store, job: str) -> None:
        with pytest.raises(RecordNotFoundError, match="'job-2'"):
            store.broker.put("job-2", candidates(1))
        with pytest.raises(SpecError, match="max_attempts = 0"):
            store.broker.put(job, candidates(1), max_attempts=0)
        store.jobs.request_cancel(job)
        with pytest.raises(StoreError, match="cancelled"):
            store.broker.put(job, candidates(1))

    def test_reserve_is_first_in_first_out_within_a_job(self, store: Store, job: str, clock: FakeClock) -> None:
        store.jobs.create("job-2", name="two", kind="hpo", spec={})
        [other] = store.broker.put("job-2", candidates(1))
        first, second = store.broker.put(job, candidates(2))
        task = reserved(store, job, lease_s=12)
        assert (task.id, task.state, task.worker_id) == (first.id, "reserved", "w1")
        assert seconds(task.lease_expires_at) == pytest.approx(clock.now + 12)
        assert seconds(task.reserved_at) == clock.now
        assert reserved(store, job, "w2").id == second.id
        assert store.broker.reserve(job, "w3", lease_s=1) is None
        assert reserved(store, "job-2").id == other.id
        assert store.broker.reserve("nobody", "w", lease_s=1) is None

    def test_reserve_of_one_phase_leaves_the_others(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(1), phase="smoke")
        [final] = store.broker.put(job, candidates(1), phase="final")
        assert reserved(store, job, phase="final").id == final.id
        assert store.broker.reserve(job, "w", lease_s=9, phase="final") is None

    @pytest.mark.parametrize("lease_s", [0, -1, math.nan])
    def test_a_lease_is_positive(self, store: Store, job: str, lease_s: float) -> None:
        with pytest.raises(SpecError, match="lease_s"):
            store.broker.reserve(job, "w", lease_s=lease_s)

    def test_a_task_is_started_and_reported(self, store: Store, job: str, clock: FakeClock) -> None:
        store.broker.put(job, candidates(1))
        running = store.broker.start(reserved(store, job))
        assert (running.state, seconds(running.started_at)) == ("running", clock.now)
        assert store.broker.start(running) == running
        clock.advance(2.5)
        assert store.broker.report(
            running, "succeeded", {"accuracy": 0.9, "latency_ms@cpu": np.float64(1)}, device="cpu"
        )
        done = store.broker.get(running.id)
        assert (done.state, done.finished, done.duration_s, done.device) == ("succeeded", True, 2.5, "cpu")
        assert done.rewards == {"accuracy": 0.9, "latency_ms@cpu": 1.0}
        assert (done.worker_id, done.lease_expires_at, done.cause) == ("w1", None, None)

    @pytest.mark.parametrize("state", FINISHED_TASK_STATES)
    def test_a_second_report_of_an_attempt_changes_nothing(self, store: Store, job: str, state: str) -> None:
        store.broker.put(job, candidates(1))
        task = reserved(store, job)
        assert store.broker.report(task, state, cause="first", message="m", duration_s=7) is True
        first = store.broker.get(task.id)
        assert (first.state, first.cause, first.message, first.duration_s) == (state, "first", "m", 7)
        assert store.broker.report(task, "succeeded", {"score": 1.0}) is False
        assert store.broker.get(task.id) == first

    def test_only_the_holder_may_report(self, store: Store, job: str) -> None:
        [pending] = store.broker.put(job, candidates(1))
        with pytest.raises(StaleAttemptError):
            store.broker.report(pending, "succeeded")
        mine = reserved(store, job, "w1")
        store.broker.release(mine, cause="killed")
        theirs = reserved(store, job, "w2")
        with pytest.raises(StaleAttemptError):
            store.broker.report(mine, "succeeded", {"score": 0.0})
        assert store.broker.report(theirs, "succeeded", {"score": 1.0})
        with pytest.raises(StaleAttemptError):
            store.broker.report(mine, "succeeded", {"score": 0.0})
        assert store.broker.get(theirs.id).rewards == {"score": 1.0}

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "high", None])
    def test_a_reward_is_a_finite_number(self, store: Store, job: str, value: Any) -> None:
        store.broker.put(job, candidates(1))
        task = reserved(store, job)
        with pytest.raises(SpecError, match="'score'"):
            store.broker.report(task, "succeeded", {"score": value})
        with pytest.raises(SpecError, match="'pending'"):
            store.broker.report(task, "pending")
        assert store.broker.get(task.id) == task

    @pytest.mark.parametrize("end", ["cancel", "timeout"])
    @pytest.mark.parametrize("at", ["pending", "reserved", "running"])
    def test_a_task_can_be_ended_from_outside(self, store: Store, job: str, end: str, at: str) -> None:
        [task] = store.broker.put(job, candidates(1))
        if at != "pending":
            task = reserved(store, job)
        if at == "running":
            task = store.broker.start(task)
        state = {"cancel": "cancelled", "timeout": "timeout"}[end]
        closed = getattr(store.broker, end)(task.id)
        assert (closed.state, closed.cause, closed.finished) == (state, state, True)
        assert store.broker.heartbeat(task, lease_s=5) is False
        assert getattr(store.broker, end)(task.id) == closed
        if at != "pending":
            assert store.broker.report(task, "succeeded", {"score": 1.0}) is False
        assert store.broker.get(task.id) == closed
        assert store.broker.reserve(job, "w2", lease_s=5) is None

    def test_a_reported_task_keeps_its_end(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(1))
        task = reserved(store, job)
        store.broker.report(task, "succeeded", {"score": 1.0})
        assert store.broker.timeout(task.id).state == "succeeded"
        assert store.broker.cancel(task.id).rewards == {"score": 1.0}
        with pytest.raises(RecordNotFoundError, match=f"task {10**12}"):
            store.broker.cancel(10**12)

    def test_a_closed_phase_takes_no_more_tasks_until_it_is_reopened(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(3))
        [other] = store.broker.put(job, candidates(1), phase="final")
        store.broker.report(reserved(store, job), "succeeded", {"score": 1.0})
        held = reserved(store, job)
        assert not store.broker.is_closed(job, "search")
        assert [task.number for task in store.broker.close_phase(job, "search")] == [2, 3]
        assert store.broker.close_phase(job, "search") == []
        assert store.broker.is_closed(job, "search")
        assert store.broker.heartbeat(held, lease_s=5) is False
        assert reserved(store, job).id == other.id
        with pytest.raises(StoreError, match="'search' of job 'job-1' is closed"):
            store.broker.put(job, candidates(1))
        store.broker.reopen_phase(job, "search")
        assert store.broker.put(job, candidates(1))[0].number == 5


class AttemptsSuite(StoreBase):
    def test_an_expired_lease_goes_to_the_next_worker_as_the_next_attempt(
        self, store: Store, job: str, clock: FakeClock
    ) -> None:
        store.broker.put(job, candidates(1))
        lost = store.broker.start(reserved(store, job, lease_s=10))
        clock.advance(9.9)
        assert store.broker.reserve(job, "w2", lease_s=10) is None
        clock.advance(0.2)
        taken = reserved(store, job, "w2")
        assert (taken.id, taken.attempt, taken.worker_id, taken.started_at) == (lost.id, 2, "w2", None)
        assert store.broker.heartbeat(lost, lease_s=10) is False
        with pytest.raises(StaleAttemptError, match=r"attempt 1 of task \d+: it is reserved in attempt 2"):
            store.broker.report(lost, "succeeded", {"score": 1})
        with pytest.raises(StaleAttemptError):
            store.broker.start(lost)
        with pytest.raises(StaleAttemptError):
            store.broker.release(lost, cause="killed")
        assert store.broker.get(taken.id) == taken

    def test_a_worker_that_gets_its_lost_task_again_cannot_mix_the_attempts_up(
        self, store: Store, job: str, clock: FakeClock
    ) -> None:
        store.broker.put(job, candidates(1))
        first = store.broker.start(reserved(store, job, lease_s=1))
        clock.advance(2)
        second = reserved(store, job, lease_s=9)
        assert (second.worker_id, second.attempt) == (first.worker_id, 2)
        assert store.broker.heartbeat(first, lease_s=9) is False
        for attempt_to in (store.broker.start, lambda task: store.broker.report(task, "succeeded", {"score": 0.0})):
            with pytest.raises(StaleAttemptError):
                attempt_to(first)
        assert store.broker.get(first.id) == second

    def test_reserve_takes_expired_leases_back_even_when_it_has_something_else(
        self, store: Store, job: str, clock: FakeClock
    ) -> None:
        store.broker.put(job, candidates(2))
        lost = reserved(store, job, lease_s=1)
        clock.advance(2)
        reserved(store, job, "w2")
        assert store.broker.get(lost.id).state == "pending"

    def test_a_heartbeat_prolongs_the_lease(self, store: Store, job: str, clock: FakeClock) -> None:
        store.broker.put(job, candidates(1))
        task = reserved(store, job, lease_s=10)
        for _ in range(5):
            clock.advance(8)
            assert store.broker.heartbeat(task, lease_s=10) is True
        assert store.broker.expire(job) == []

    def test_the_holder_may_still_report_after_its_lease_if_nobody_took_it(
        self, store: Store, job: str, clock: FakeClock
    ) -> None:
        store.broker.put(job, candidates(1))
        task = reserved(store, job, lease_s=10)
        clock.advance(11)
        assert store.broker.report(task, "succeeded", {"score": 1}) is True

    def test_attempts_are_used_up(self, store: Store, job: str, clock: FakeClock) -> None:
        store.broker.put(job, candidates(1), max_attempts=2)
        for attempt in (1, 2):
            assert reserved(store, job, lease_s=1).attempt == attempt
            clock.advance(2)
            [changed] = store.broker.expire(job)
        assert (changed.state, changed.cause, changed.attempt) == ("failed", "lost_worker", 2)
        assert "'w1'" in str(changed.message)
        assert seconds(changed.finished_at) == clock.now
        assert store.broker.reserve(job, "w", lease_s=1) is None
        assert store.broker.expire(job) == []
        released = [event.payload for event in store.events.since(job) if event.kind == "task_released"]
        assert [(entry["attempt"], entry["worker"], entry["state"]) for entry in released] == [
            (1, "w1", "pending"),
            (2, "w1", "failed"),
        ]

    def test_release_gives_a_task_back_with_its_cause(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(1), max_attempts=2)
        task = store.broker.start(reserved(store, job))
        back = store.broker.release(task, cause="killed", message="signal 9")
        assert (back.state, back.attempt, back.worker_id, back.cause, back.message) == (
            "pending",
            2,
            None,
            "killed",
            "signal 9",
        )
        with pytest.raises(StaleAttemptError):
            store.broker.release(task, cause="killed")
        over = store.broker.release(reserved(store, job), cause="out_of_memory")
        assert (over.state, over.cause, over.attempt) == ("failed", "out_of_memory", 2)

    def test_a_cancelled_jobs_lost_task_does_not_come_back(self, store: Store, job: str, clock: FakeClock) -> None:
        store.broker.put(job, candidates(2))
        lost = store.broker.start(reserved(store, job, lease_s=1))
        given = store.broker.start(reserved(store, job, lease_s=9))
        store.jobs.request_cancel(job)
        clock.advance(2)
        assert [task.state for task in store.broker.expire(job)] == ["cancelled"]
        assert store.broker.get(lost.id).cause == "lost_worker"
        assert store.broker.release(given, cause="killed").state == "cancelled"


class ReadingSuite(StoreBase):
    def test_counts_have_all_states(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(3))
        store.broker.put(job, candidates(1), phase="final")
        reserved(store, job)
        none = dict.fromkeys(TASK_STATES, 0)
        assert store.broker.counts(job) == none | {"pending": 3, "reserved": 1}
        assert store.broker.counts(job, phase="search") == none | {"pending": 2, "reserved": 1}
        assert store.broker.counts("nobody") == none

    def test_tasks_are_filtered(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(2))
        store.broker.put(job, candidates(1), phase="final")
        reserved(store, job)
        assert [task.number for task in store.broker.tasks(job, states=("reserved",))] == [1]
        assert [task.number for task in store.broker.tasks(job, states=("pending",), phase="final")] == [3]
        with pytest.raises(SpecError, match="'done'"):
            store.broker.tasks(job, states=["done"])
        with pytest.raises(RecordNotFoundError, match=f"task {10**12}"):
            store.broker.get(10**12)

    def test_changes_are_read_from_a_position(self, store: Store, job: str) -> None:
        """A change may come twice (see ``position``), so the test asks for what must come, and for nothing too old."""
        first, second, third = store.broker.put(job, candidates(3))
        assert store.broker.tasks(job, changed_after=first.changed) == []
        before = store.broker.position(job)
        task = reserved(store, job)
        assert task.changed > before >= 0
        assert task in store.broker.tasks(job, changed_after=before)
        assert store.broker.tasks(job, changed_after=first.changed) == [task]
        store.broker.heartbeat(task, lease_s=90)
        assert store.broker.tasks(job, changed_after=task.changed) == []
        store.broker.report(task, "failed", cause="exception")
        store.broker.cancel(second.id)
        changed = store.broker.tasks(job, changed_after=task.changed)
        assert [(found.id, found.state) for found in changed] == [(task.id, "failed"), (second.id, "cancelled")]
        assert store.broker.get(third.id).changed == first.changed

    def test_curves_hold_the_current_attempt(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(2))
        first = reserved(store, job)
        store.broker.progress(first, 1, {"loss": 9.0})
        store.broker.release(first, cause="killed")
        again, second = reserved(store, job), reserved(store, job, "w2")
        store.broker.progress(again, 2, {"loss": float("nan"), "score": 0.2})
        store.broker.progress(again, 1, {"loss": 5.0})
        store.broker.progress(again, 1, {"loss": 4.0})
        store.broker.progress(second, 1, {"loss": 1.0})
        curves = store.broker.curves(job)
        assert list(curves) == [first.id, second.id]
        assert curves[first.id][0] == (1, {"loss": 4.0})
        assert curves[first.id][1][1]["score"] == 0.2
        assert math.isnan(curves[first.id][1][1]["loss"])
        assert curves[second.id] == [(1, {"loss": 1.0})]
        assert store.broker.curves(job, phase="final") == {}
