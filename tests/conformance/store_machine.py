"""The broker against a model of it: any order of calls, any clock, the same answers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from conformance.store_base import FakeClock, StoreBase, candidates
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from omniforge.errors import StaleAttemptError
from omniforge.store import FINISHED_TASK_STATES, TASK_STATES, Store, TaskRecord

_MAX_ATTEMPTS = 2
_jobs = itertools.count()


@dataclass
class ModelTask:
    """What the model knows of a task."""

    state: str = "pending"
    attempt: int = 1
    worker: str | None = None
    lease_until: float = 0.0
    accepted: int = 0

    @property
    def held(self) -> bool:
        return self.state in ("reserved", "running")

    def give_back(self) -> None:
        if self.attempt < _MAX_ATTEMPTS:
            self.state, self.attempt, self.worker = "pending", self.attempt + 1, None
        else:
            self.state = "failed"


class BrokerMachine(RuleBasedStateMachine):
    """Plays the broker and the model side by side.

    Args:
        store: With ``clock`` as its clock.
        clock: Moved by the machine.
    """

    def __init__(self, store: Store, clock: FakeClock) -> None:
        super().__init__()
        self.broker, self.clock = store.broker, clock
        self.job = f"machine-{next(_jobs)}"
        store.jobs.create(self.job, name="m", kind="hpo", spec={})
        self.model: dict[int, ModelTask] = {}
        self.handed_out: list[TaskRecord] = []

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        self.put(count)

    @rule(count=st.integers(0, 2))
    def put(self, count: int) -> None:
        for task in self.broker.put(self.job, candidates(count), max_attempts=_MAX_ATTEMPTS):
            self.model[task.id] = ModelTask()

    @rule(worker=st.sampled_from(["a", "b"]), lease_s=st.sampled_from([5.0, 20.0]))
    def reserve(self, worker: str, lease_s: float) -> None:
        if not self._pending():
            self._expire_model()
        pending = self._pending()
        task = self.broker.reserve(self.job, worker, lease_s=lease_s)
        assert (task.id if task else None) == (pending[0] if pending else None)
        if task is None:
            return
        entry = self.model[task.id]
        entry.state, entry.worker, entry.lease_until = "reserved", worker, self.clock.now + lease_s
        assert task.attempt == entry.attempt
        self.handed_out.append(task)
        self._expire_model()

    @rule(pick=st.integers(0, 99))
    def start(self, pick: int) -> None:
        for task, entry, current in self._some(pick):
            if current and entry.held:
                assert self.broker.start(task).state == "running"
                entry.state = "running"
            else:
                with pytest.raises(StaleAttemptError):
                    self.broker.start(task)

    @rule(pick=st.integers(0, 99), lease_s=st.sampled_from([5.0, 20.0]))
    def heartbeat(self, pick: int, lease_s: float) -> None:
        for task, entry, current in self._some(pick):
            expected = current and entry.held
            assert self.broker.heartbeat(task, lease_s=lease_s) is expected
            if expected:
                entry.lease_until = self.clock.now + lease_s

    @rule(pick=st.integers(0, 99), state=st.sampled_from(FINISHED_TASK_STATES))
    def report(self, pick: int, state: str) -> None:
        for task, entry, current in self._some(pick):
            if not current:
                with pytest.raises(StaleAttemptError):
                    self.broker.report(task, state, {"score": 1.0})
                continue
            assert self.broker.report(task, state, {"score": 1.0}) is entry.held
            if entry.held:
                entry.state, entry.accepted = state, entry.accepted + 1

    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        for task, entry, current in self._some(pick):
            if current and entry.held:
                self.broker.release(task, cause="killed")
                entry.give_back()
            else:
                with pytest.raises(StaleAttemptError):
                    self.broker.release(task, cause="killed")

    @rule(pick=st.integers(0, 99), end=st.sampled_from(["cancel", "timeout"]))
    def close(self, pick: int, end: str) -> None:
        task_id = sorted(self.model)[pick % len(self.model)]
        entry = self.model[task_id]
        if entry.state not in FINISHED_TASK_STATES:
            entry.state = {"cancel": "cancelled", "timeout": "timeout"}[end]
        assert getattr(self.broker, end)(task_id).state == entry.state

    @rule(seconds=st.sampled_from([1.0, 6.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def expire(self) -> None:
        self.broker.expire(self.job)
        self._expire_model()

    @invariant()
    def the_store_agrees(self) -> None:
        stored = {task.id: (task.state, task.attempt) for task in self.broker.tasks(self.job)}
        assert stored == {number: (entry.state, entry.attempt) for number, entry in self.model.items()}
        counts = dict.fromkeys(TASK_STATES, 0)
        for entry in self.model.values():
            counts[entry.state] += 1
        assert self.broker.counts(self.job) == counts
        assert all(entry.accepted <= 1 for entry in self.model.values())

    def _pending(self) -> list[int]:
        return sorted(number for number, entry in self.model.items() if entry.state == "pending")

    def _expire_model(self) -> None:
        for entry in self.model.values():
            if entry.held and entry.lease_until < self.clock.now:
                entry.give_back()

    def _some(self, pick: int) -> list[tuple[TaskRecord, ModelTask, bool]]:
        """One of the records handed out so far, with the model's task and whether it is the current attempt's."""
        if not self.handed_out:
            return []
        task = self.handed_out[pick % len(self.handed_out)]
        entry = self.model[task.id]
        return [(task, entry, entry.attempt == task.attempt and entry.worker == task.worker_id)]


class MachineSuite(StoreBase):
    @pytest.mark.property
    def test_the_broker_agrees_with_its_model(self, store: Store, clock: FakeClock) -> None:
        run_state_machine_as_test(
            lambda: BrokerMachine(store, clock),  # type: ignore[arg-type]  # hypothesis only calls it
            settings=settings(
                max_examples=25,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
