"""The task broker: who works on what, until when, and what came of it.

A task's life, each arrow one transaction::

    pending --reserve--> reserved --start--> running --report--> succeeded | failed | timeout | cancelled
       ^                     |                  |
       +--- release, expired lease (attempt + 1, while attempts are left; else failed) ---+

``cancel`` and ``timeout`` end a task from any state on the way. Whoever holds a task names the attempt with everything
it says; what comes from an attempt that is not the current one changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import SpecError, StaleAttemptError, StoreError
from .attempts import close_task, expire_leases, give_back
from .database import Session
from .dialect import channel_of
from .jobs import locked_job
from .records import FINISHED_JOB_STATES, FINISHED_TASK_STATES, TaskRecord
from .schema import PENDING, jobs, phases, progress, tasks
from .statements import TASK_COLUMNS, task_from_row
from .task_reader import TaskReader
from .values import finite_rewards, require_json, with_nulls
from .watching import wait_until

if TYPE_CHECKING:
    from ..search.candidate import Candidate

DEFAULT_MAX_ATTEMPTS = 3


class Broker(TaskReader):
    """The tasks of a store. By value: it hands out records and takes them back to say which attempt is meant."""

    def put(
        self,
        job_id: str,
        candidates: Sequence[Candidate],
        *,
        phase: str = "search",
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ) -> list[TaskRecord]:
        """Add tasks to a job, in the order of ``candidates``; all of them or none.

        Raises:
            RecordNotFoundError: There is no such job.
            StoreError: The job was cancelled, or the phase is closed.
            SpecError: A configuration is not JSON, or ``max_attempts`` is below 1.
        """
        if max_attempts < 1:
            raise SpecError(f"max_attempts = {max_attempts}; expected at least 1.")
        for candidate in candidates:
            require_json(candidate.config, what="A candidate's configuration")
            require_json(_plain(candidate.fidelity), what="A candidate's fidelity")
        closed = sa.select(phases.c.phase).where(phases.c.job_id == job_id, phases.c.phase == phase)
        change_now = self._database.dialect.next_change(sa.literal(job_id))
        last_number = sa.func.coalesce(sa.func.max(tasks.c.number), 0)
        numbers = sa.select(last_number, change_now).where(tasks.c.job_id == job_id)
        common = {"job_id": job_id, "phase": phase, "state": "pending", "attempt": 1, "max_attempts": max_attempts}

        def work(session: Session) -> list[TaskRecord]:
            if locked_job(session, job_id).state == "cancelled":
                raise StoreError(f"Job {job_id!r} is cancelled and takes no more tasks.")
            if session.row(closed) is not None:
                raise StoreError(f"Phase {phase!r} of job {job_id!r} is closed and takes no more tasks.")
            # The lock on the job makes these two the same for all the rows of this call, and ours alone.
            [[last, change]] = session.rows(numbers)
            fixed = common | {"created_at": session.now(), "changed": change}
            rows = [
                fixed | {"number": number, "config": candidate.config, "fidelity": _plain(candidate.fidelity)}
                for number, candidate in enumerate(candidates, start=last + 1)
            ]
            added = session.insert_many(tasks, rows) if rows else []
            session.announce(job_id, "tasks", "work")
            return [task_from_row(row) for row in added]

        return self._database.write(work)

    def reserve(self, job_id: str, worker_id: str, *, lease_s: float, phase: str | None = None) -> TaskRecord | None:
        """Take the oldest pending task of a job, or None; takes back expired leases on the way.

        Args:
            job_id: Whose tasks.
            worker_id: Who will work on it.
            lease_s: How long it is held without a heartbeat, > 0.
            phase: Only tasks of this phase; default any.

        Raises:
            SpecError: ``lease_s`` is not positive.
        """
        statement = self._statements.reserve if phase is None else self._statements.reserve_phase
        params = self._channels(job_id) | {"of_worker": worker_id, "lease_s": _positive(lease_s), "of_phase": phase}
        for _ in range(2):
            # Should the answer be lost with the connection, nobody works on the first reservation; its lease expires.
            for row in self._database.change(statement, params, repeatable=True):
                overdue = row[len(TASK_COLUMNS)]
                if overdue:
                    self.expire(job_id)
                return task_from_row(row)
            if not self.expire(job_id):
                break
        return None

    def start(self, task: TaskRecord) -> TaskRecord:
        """Make a task that its caller has reserved running.

        Raises:
            StaleAttemptError: The caller no longer holds it.
        """
        rows = self._database.change(self._statements.start, self._attempt(task), repeatable=True)
        if rows:
            return task_from_row(rows[0])
        now = self.get(task.id)
        if now.state == "running" and _same_attempt(now, task):
            return now
        raise _stale(task, now)

    def heartbeat(self, task: TaskRecord, *, lease_s: float) -> bool:
        """Hold a task for another ``lease_s`` (> 0).

        Returns:
            False when it is no longer the caller's to hold: taken back, cancelled, timed out, or its job was cancelled.
            What runs for it must be stopped.

        Raises:
            SpecError: ``lease_s`` is not positive.
        """
        params = self._attempt(task) | {"lease_s": _positive(lease_s)}
        return bool(self._database.change(self._statements.heartbeat, params, repeatable=True))

    def report(
        self,
        task: TaskRecord,
        state: str,
        rewards: Mapping[str, float] | None = None,
        *,
        cause: str | None = None,
        message: str | None = None,
        device: str | None = None,
        duration_s: float | None = None,
    ) -> bool:
        """End the current attempt of a task, exactly once.

        Args:
            task: As it was reserved or started.
            state: ``"succeeded"``, ``"failed"``, ``"timeout"`` or ``"cancelled"``.
            rewards: Finite numbers by metric key.
            cause: Why it did not succeed, one word.
            message: The same for people.
            device: Where it was measured.
            duration_s: How long it took; default: since it was started.

        Returns:
            True when this call ended the attempt. False when it had already ended (reported before, cancelled, timed
            out): nothing changes.

        Raises:
            StaleAttemptError: The attempt is not the current one.
            SpecError: The state is not an end, or a reward is not a finite number.
        """
        if state not in FINISHED_TASK_STATES:
            expected = ", ".join(FINISHED_TASK_STATES)
            raise SpecError(f"Task {task.id} cannot be reported as {state!r}; expected one of {expected}.")
        params = self._attempt(task) | {
            "end_state": state,
            "measured": finite_rewards(rewards, task_id=task.id),
            "why": cause,
            "said": message,
            "on_device": device,
            "took_s": duration_s,
        }
        if self._database.change(self._statements.report, params, repeatable=True):
            return True
        now = self.get(task.id)
        if now.finished and _same_attempt(now, task):
            return False
        raise _stale(task, now)

    def release(self, task: TaskRecord, *, cause: str, message: str | None = None) -> TaskRecord:
        """Give a task back because the attempt failed for no fault of the candidate: its process was killed or lost.

        Returns:
            The task: pending with the next attempt, failed with ``cause`` when all attempts are used up, cancelled when
            its job is.

        Raises:
            StaleAttemptError: The caller no longer holds it.
        """

        def work(session: Session) -> TaskRecord:
            job = locked_job(session, task.job_id, shared=True)
            now = self._locked_task(session, task)
            return give_back(session, now, job=job, cause=cause, message=message)

        return self._database.write(work)

    def progress(self, task: TaskRecord, step: int, metrics: Mapping[str, float]) -> None:
        """Keep one point of an attempt's curve; a repeated step replaces it. What is not finite is kept as NaN."""
        values = {"task_id": task.id, "attempt": task.attempt, "step": step, "metrics": with_nulls(metrics)}
        statement = self._database.dialect.upsert(progress, values | {"at": self._database.dialect.now()})
        self._database.write(lambda session: session.execute(statement), repeatable=True)

    def expire(self, job_id: str) -> list[TaskRecord]:
        """Take back the tasks whose lease has expired and return them as they are now; see :meth:`release`."""
        overdue = self._database.read(lambda session: session.rows(self._statements.overdue, {"of_job": job_id}))
        if not overdue[0][0]:
            return []
        return self._database.write(lambda session: expire_leases(session, job_id), repeatable=True)

    def cancel(self, task_id: int) -> TaskRecord:
        """Cancel a task that has not ended, and return it as it is now.

        Raises:
            RecordNotFoundError: There is none of that id.
        """
        return self._close(task_id, "cancelled")

    def timeout(self, task_id: int, *, message: str | None = None) -> TaskRecord:
        """End a task that nobody waits for any longer; one that has ended keeps its end. Return it as it is now.

        Args:
            task_id: The task.
            message: Why, for the person.

        Raises:
            RecordNotFoundError: There is none of that id.
        """
        return self._close(task_id, "timeout", message=message)

    def close_phase(self, job_id: str, phase: str) -> list[TaskRecord]:
        """Let no more tasks into a phase, cancel those that have not ended, and return these.

        Raises:
            RecordNotFoundError: There is no such job.
        """

        def work(session: Session) -> list[TaskRecord]:
            locked_job(session, job_id)
            now = session.now()
            row = {"job_id": job_id, "phase": phase, "closed_at": now}
            session.execute(self._database.dialect.upsert(phases, row))
            open_tasks = (
                (tasks.c.job_id == job_id) & (tasks.c.phase == phase) & tasks.c.state.not_in(FINISHED_TASK_STATES)
            )
            ended = {"state": "cancelled", "cause": "cancelled", "finished_at": now, "lease_expires_at": None}
            change = session.next_change(job_id)
            statement = sa.update(tasks).where(open_tasks).values(**ended, changed=change).returning(*TASK_COLUMNS)
            cancelled = [task_from_row(row) for row in session.rows(statement)]
            session.announce(job_id, "tasks", "work")
            session.add_event(job_id, "phase_closed", {"phase": phase, "cancelled": len(cancelled)})
            return sorted(cancelled, key=lambda task: task.id)

        return self._database.write(work, repeatable=True)

    def reopen_phase(self, job_id: str, phase: str) -> None:
        """Let tasks into a phase again, when a job is resumed."""
        statement = sa.delete(phases).where(phases.c.job_id == job_id, phases.c.phase == phase)
        self._database.write(lambda session: session.execute(statement), repeatable=True)

    def wait(
        self, job_id: str, condition: Callable[[dict[str, int]], bool], timeout_s: float, *, phase: str | None = None
    ) -> bool:
        """Wait until the counts of a job's tasks satisfy ``condition``; takes back expired leases meanwhile.

        Returns:
            False when ``timeout_s`` passed first.
        """

        def probe() -> bool | None:
            self.expire(job_id)
            return condition(self.counts(job_id, phase=phase)) or None

        channels = [channel_of(job_id, "tasks")]
        return wait_until(self._database, probe, channels=channels, timeout_s=timeout_s) is not None

    def wait_for_work(self, job_id: str, timeout_s: float, *, phase: str | None = None) -> bool:
        """Wait until a task is pending, or until none will be: the job has ended or the phase is closed.

        Returns:
            False when ``timeout_s`` passed first. True promises no task: another worker may be faster.
        """

        def look(session: Session) -> bool:
            job = session.row(sa.select(jobs.c.state).where(jobs.c.id == job_id))
            if job is None or job[0] in FINISHED_JOB_STATES:
                return True
            pending = sa.select(tasks.c.id).where(tasks.c.job_id == job_id, sa.text(PENDING)).limit(1)
            if phase is None:
                return session.row(pending) is not None
            closed = sa.select(phases.c.phase).where(phases.c.job_id == job_id, phases.c.phase == phase)
            return session.row(pending.where(tasks.c.phase == phase)) is not None or session.row(closed) is not None

        def probe() -> bool | None:
            self.expire(job_id)
            return self._database.read(look) or None

        channels = [channel_of(job_id, "work")]
        return wait_until(self._database, probe, channels=channels, timeout_s=timeout_s) is not None

    def _close(self, task_id: int, state: str, *, message: str | None = None) -> TaskRecord:
        before = self.get(task_id)
        return self._database.write(
            lambda session: close_task(session, before, state=state, message=message), repeatable=True
        )

    def _locked_task(self, session: Session, task: TaskRecord) -> TaskRecord:
        row = session.row(sa.select(*TASK_COLUMNS).where(tasks.c.id == task.id).with_for_update())
        now = task_from_row(row) if row is not None else task
        if row is None or now.state not in ("reserved", "running") or not _same_attempt(now, task):
            raise _stale(task, now)
        return now

    def _channels(self, job_id: str) -> dict[str, Any]:
        return {"of_job": job_id, "tasks_channel": channel_of(job_id, "tasks")}

    def _attempt(self, task: TaskRecord) -> dict[str, Any]:
        held = {"of_task": task.id, "of_attempt": task.attempt, "of_worker": task.worker_id}
        return self._channels(task.job_id) | held


def _same_attempt(now: TaskRecord, then: TaskRecord) -> bool:
    return now.attempt == then.attempt and now.worker_id == then.worker_id


def _stale(task: TaskRecord, now: TaskRecord) -> StaleAttemptError:
    return StaleAttemptError(
        f"Worker {task.worker_id!r} no longer holds attempt {task.attempt} of task {task.id}: "
        f"it is {now.state} in attempt {now.attempt}."
    )


def _plain(fidelity: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if fidelity is None else dict(fidelity)


def _positive(lease_s: float) -> float:
    if not lease_s > 0:
        raise SpecError(f"lease_s = {lease_s}; expected a positive number of seconds.")
    return float(lease_s)
