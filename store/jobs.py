"""Jobs: one row per search, from the request to the result."""

from __future__ import annotations

import builtins
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..errors import RecordNotFoundError, SpecError, StoreError
from .database import Database, Session
from .records import FINISHED_JOB_STATES, JOB_STATES, JobRecord, utc, utc_or_none
from .schema import jobs, tasks
from .values import require_json

_KINDS = ("nocode", "hpo")


class Jobs:
    """The jobs of a store.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, job_id: str, *, name: str, kind: str, spec: Mapping[str, Any]) -> JobRecord:
        """Record a new job, queued.

        Args:
            job_id: Not yet taken.
            name: What people call it.
            kind: ``"nocode"`` or ``"hpo"``.
            spec: What was asked for, JSON.

        Raises:
            StoreError: There is a job of that id.
            SpecError: The kind is unknown or the spec is not JSON.
        """
        if kind not in _KINDS:
            raise SpecError(f"Job kind {kind!r}; expected one of {', '.join(_KINDS)}.")
        require_json(spec, what=f"The spec of job {job_id!r}")

        def work(session: Session) -> JobRecord:
            if session.row(sa.select(jobs.c.id).where(jobs.c.id == job_id)) is not None:
                raise StoreError(f"There is already a job {job_id!r}.", hint="Give the new job another id.")
            values = {"id": job_id, "name": name, "kind": kind, "state": "queued", "spec": dict(spec)}
            [row] = session.rows(sa.insert(jobs).values(**values, created_at=session.now()).returning(*jobs.c))
            session.add_event(job_id, "job_created", {"name": name, "kind": kind})
            return _job(row)

        return self._database.write(work)

    def get(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            RecordNotFoundError: There is none of that id; the hint has the nearest.
        """
        return self._database.read(lambda session: _job(_found(session, _GET, job_id)))

    def list(self, states: Iterable[str] | None = None, limit: int | None = None) -> builtins.list[JobRecord]:
        """Return the jobs in these states (default: all), the newest first, at most ``limit``.

        Raises:
            SpecError: A state is unknown.
        """
        statement = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if states is not None:
            statement = statement.where(jobs.c.state.in_(_known_states(states)))
        return self._database.read(lambda session: [_job(row) for row in session.rows(statement)])

    def start(self, job_id: str) -> JobRecord:
        """Make a job running: a queued one, or one that failed, was cancelled or was cut off and is resumed.

        Raises:
            RecordNotFoundError: There is none of that id.
            StoreError: It has succeeded.
        """

        def work(session: Session) -> JobRecord:
            before = locked_job(session, job_id)
            if before.state == "succeeded":
                raise StoreError(f"Job {job_id!r} has succeeded and cannot be started again.", hint="Create a new job.")
            started_at = session.now() if before.started_at is None else jobs.c.started_at
            values = {"state": "running", "started_at": started_at, "finished_at": None, "error": None}
            job = _changed(session, job_id, values)
            session.add_event(job_id, "job_started", {"before": before.state})
            return job

        return self._database.write(work, repeatable=True)

    def set_plan(self, job_id: str, plan: Mapping[str, Any]) -> JobRecord:
        """Keep the plan that the formatter made.

        Raises:
            RecordNotFoundError: There is none of that id.
            SpecError: The plan is not JSON.
        """
        require_json(plan, what=f"The plan of job {job_id!r}")
        return self._set(job_id, {"plan": dict(plan)})

    def change_space(
        self, job_id: str, space: Mapping[str, Any], *, space_hash: str, before: str, changes: Sequence[str] = ()
    ) -> JobRecord:
        """Give a job another version of its search space; what drives it hears of it, and so do those who follow it.

        The plan's ``space`` and ``space_hash`` become the new ones, and its ``space_versions`` the earlier ones, oldest first,
        each ``{"space", "hash"}``.

        Args:
            job_id: Which one.
            space: The new version, JSON.
            space_hash: Its hash.
            before: The hash of the version that was edited.
            changes: What changes, in lines, for the event.

        Raises:
            RecordNotFoundError: There is none of that id.
            StoreError: It has succeeded, has no plan, or its space was changed by someone else meanwhile.
            SpecError: The space is not JSON.
        """
        require_json(space, what=f"The space of job {job_id!r}")

        def work(session: Session) -> JobRecord:
            job = locked_job(session, job_id)
            plan = dict(job.plan or {})
            if job.state == "succeeded" or not plan:
                why = "has succeeded" if job.state == "succeeded" else "has no plan yet"
                raise StoreError(f"Job {job_id!r} {why}: its space cannot be changed.", hint="Start a new job.")
            if plan["space_hash"] != before:
                problem = f"The space of job {job_id!r} was changed by someone else meanwhile."
                raise StoreError(problem, hint=f"See it and edit again: omniforge jobs show {job_id}")
            earlier = [*plan.get("space_versions", []), {"space": plan["space"], "hash": plan["space_hash"]}]
            plan |= {"space": dict(space), "space_hash": space_hash, "space_versions": earlier}
            changed = _changed(session, job_id, {"plan": plan})
            session.announce(job_id, "tasks")
            event = {"version": len(earlier) + 1, "hash": space_hash, "changes": list(changes)}
            session.add_event(job_id, "space_changed", event)
            return changed

        return self._database.write(work)

    def set_result(self, job_id: str, result: Mapping[str, Any]) -> JobRecord:
        """Keep what the job has found so far.

        Raises:
            RecordNotFoundError: There is none of that id.
            SpecError: The result is not JSON.
        """
        require_json(result, what=f"The result of job {job_id!r}")
        return self._set(job_id, {"result": dict(result)})

    def finish(
        self, job_id: str, state: str, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> JobRecord:
        """End a job that is queued or running; one that has ended keeps its end and is returned as it is.

        Args:
            job_id: Which one.
            state: ``"succeeded"``, ``"failed"`` or ``"cancelled"``.
            result: Replaces the result; None keeps it.
            error: Why it failed.

        Raises:
            RecordNotFoundError: There is none of that id.
            SpecError: The state is not an end, or the result is not JSON.
        """
        if state not in FINISHED_JOB_STATES:
            raise SpecError(f"A job cannot finish as {state!r}; expected one of {', '.join(FINISHED_JOB_STATES)}.")
        require_json(result, what=f"The result of job {job_id!r}")

        def work(session: Session) -> JobRecord:
            before = locked_job(session, job_id)
            if before.state in FINISHED_JOB_STATES:
                return before
            values: dict[str, Any] = {"state": state, "error": error, "finished_at": session.now()}
            job = _changed(session, job_id, values if result is None else values | {"result": dict(result)})
            session.announce(job_id, "tasks", "work")
            session.add_event(job_id, "job_finished", {"state": state, "error": error})
            return job

        return self._database.write(work, repeatable=True)

    def request_cancel(self, job_id: str) -> JobRecord:
        """Cancel a job and its pending and reserved tasks; holders of running tasks hear of it at their next heartbeat.

        A job that has ended is returned as it is.

        Raises:
            RecordNotFoundError: There is none of that id.
        """

        def work(session: Session) -> JobRecord:
            before = locked_job(session, job_id)
            if before.state in FINISHED_JOB_STATES:
                return before
            now = session.now()
            job = _changed(session, job_id, {"state": "cancelled", "finished_at": now})
            waiting = (tasks.c.job_id == job_id) & tasks.c.state.in_(("pending", "reserved"))
            ended = {"state": "cancelled", "cause": "cancelled", "finished_at": now, "lease_expires_at": None}
            change = session.next_change(job_id)
            count = session.execute(sa.update(tasks).where(waiting).values(**ended, changed=change))
            session.announce(job_id, "tasks", "work")
            session.add_event(job_id, "job_cancelled", {"tasks": count})
            return job

        return self._database.write(work, repeatable=True)

    def _set(self, job_id: str, values: Mapping[str, Any]) -> JobRecord:
        return self._database.write(lambda session: _changed(session, job_id, values), repeatable=True)


def locked_job(session: Session, job_id: str, *, shared: bool = False) -> JobRecord:
    """Return a job that nobody else changes until the transaction ends.

    Args:
        session: The transaction.
        job_id: Which one.
        shared: Let others hold the same lock: enough for one who only relies on the job's state.

    Raises:
        RecordNotFoundError: There is none of that id.
    """
    return _job(_found(session, _SHARE if shared else _LOCK, job_id))


# Made once: a transaction that waits for its statements to be built keeps all others waiting.
_GET = sa.select(jobs).where(jobs.c.id == sa.bindparam("of_job", type_=sa.Text()))
_SHARE = _GET.with_for_update(read=True)
# Without KEY SHARE the lock would stop those who insert rows that refer to the job.
_LOCK = _GET.with_for_update(key_share=True)


def _found(session: Session, statement: sa.Executable, job_id: str) -> Sequence[Any]:
    row = session.row(statement, {"of_job": job_id})
    if row is None:
        raise _not_found(session, job_id)
    return row


def _changed(session: Session, job_id: str, values: Mapping[str, Any]) -> JobRecord:
    row = session.row(sa.update(jobs).where(jobs.c.id == job_id).values(**values).returning(*jobs.c))
    if row is None:
        raise _not_found(session, job_id)
    return _job(row)


def _not_found(session: Session, job_id: str) -> RecordNotFoundError:
    recent = sa.select(jobs.c.id).order_by(jobs.c.created_at.desc()).limit(1000)
    known = [row[0] for row in session.rows(recent)]
    near = difflib.get_close_matches(job_id, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else "`omniforge jobs list` shows them."
    return RecordNotFoundError(f"There is no job {job_id!r}.", hint=hint)


def _known_states(states: Iterable[str]) -> builtins.list[str]:
    asked = builtins.list(states)
    for state in asked:
        if state not in JOB_STATES:
            raise SpecError(f"Job state {state!r}; expected one of {', '.join(JOB_STATES)}.")
    return asked


def _job(row: Any) -> JobRecord:
    return JobRecord(
        id=row[0],
        name=row[1],
        kind=row[2],
        state=row[3],
        spec=row[4],
        plan=row[5],
        result=row[6],
        error=row[7],
        created_at=utc(row[8]),
        started_at=utc_or_none(row[9]),
        finished_at=utc_or_none(row[10]),
    )
