"""The statements of the broker's busy path, built once per store: each is one transaction and one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .dialect import Dialect
from .records import TaskRecord, utc, utc_or_none
from .schema import HELD, PENDING, jobs, tasks

# Names of bound values differ from the columns', which an UPDATE keeps for itself.
JOB = sa.bindparam("of_job", type_=sa.Text())
PHASE = sa.bindparam("of_phase", type_=sa.Text())
TASK = sa.bindparam("of_task", type_=sa.BigInteger())
ATTEMPT = sa.bindparam("of_attempt", type_=sa.Integer())
WORKER = sa.bindparam("of_worker", type_=sa.Text())
LEASE_S: sa.BindParameter[float] = sa.bindparam("lease_s", type_=sa.Double())
TASKS_CHANNEL = sa.bindparam("tasks_channel", type_=sa.Text())

TASK_COLUMNS = tuple(tasks.c)


@dataclass(frozen=True)
class Statements:
    """What a task's life needs.

    Attributes:
        reserve: Takes the oldest pending task of a job; the column after the task's tells whether a lease is overdue.
        reserve_phase: The same for the tasks of one phase.
        start: Makes a reserved task running.
        heartbeat: Prolongs a lease, unless the job was cancelled.
        report: Ends an attempt.
        overdue: Whether a lease of a job has expired.
        counts: Number of tasks by state.
        counts_phase: The same for one phase.
    """

    reserve: sa.Executable
    reserve_phase: sa.Executable
    start: sa.Executable
    heartbeat: sa.Executable
    report: sa.Executable
    overdue: sa.Executable
    counts: sa.Executable
    counts_phase: sa.Executable


def build_statements(dialect: Dialect) -> Statements:
    """Return the broker's statements for a database."""
    return Statements(
        reserve=_reserve(dialect, in_phase=False),
        reserve_phase=_reserve(dialect, in_phase=True),
        start=_start(dialect),
        heartbeat=_heartbeat(dialect),
        report=_report(dialect),
        overdue=sa.select(_overdue(dialect)),
        counts=_counts(in_phase=False),
        counts_phase=_counts(in_phase=True),
    )


def task_from_row(row: Any) -> TaskRecord:
    """Make a record of the columns ``TASK_COLUMNS`` at the start of a row."""
    return TaskRecord(
        id=row[0],
        job_id=row[1],
        number=row[2],
        phase=row[3],
        config=row[4],
        fidelity=row[5],
        state=row[6],
        attempt=row[7],
        max_attempts=row[8],
        worker_id=row[9],
        lease_expires_at=utc_or_none(row[10]),
        created_at=utc(row[11]),
        reserved_at=utc_or_none(row[12]),
        started_at=utc_or_none(row[13]),
        finished_at=utc_or_none(row[14]),
        duration_s=row[15],
        cause=row[16],
        message=row[17],
        rewards=row[18] or {},
        device=row[19],
        changed=row[20],
    )


def _reserve(dialect: Dialect, *, in_phase: bool) -> sa.Executable:
    queue = tasks.alias("queue")
    first = sa.select(queue.c.id).where(queue.c.job_id == JOB, sa.text(PENDING))
    if in_phase:
        first = first.where(queue.c.phase == PHASE)
    # Two that ask at the same time take two tasks: the second passes over the row that the first has locked.
    first = first.order_by(queue.c.id).limit(1).with_for_update(skip_locked=True)
    return (
        sa.update(tasks)
        .where(tasks.c.id == first.scalar_subquery())
        .values(
            state="reserved",
            worker_id=WORKER,
            lease_expires_at=dialect.now() + LEASE_S,
            reserved_at=dialect.now(),
            started_at=None,
            changed=dialect.next_change(JOB),
        )
        .returning(*TASK_COLUMNS, _overdue(dialect).label("overdue"), *dialect.announcement(TASKS_CHANNEL))
    )


def _start(dialect: Dialect) -> sa.Executable:
    return (
        sa.update(tasks)
        .where(*_current_attempt(), tasks.c.state == "reserved")
        .values(state="running", started_at=dialect.now(), changed=dialect.next_change(JOB))
        .returning(*TASK_COLUMNS, *dialect.announcement(TASKS_CHANNEL))
    )


def _heartbeat(dialect: Dialect) -> sa.Executable:
    cancelled = sa.exists().where(jobs.c.id == tasks.c.job_id, jobs.c.state == "cancelled")
    return (
        sa.update(tasks)
        .where(*_current_attempt(), sa.text(HELD), ~cancelled)
        .values(lease_expires_at=dialect.now() + LEASE_S)
        .returning(tasks.c.id)
    )


def _report(dialect: Dialect) -> sa.Executable:
    began_at = sa.func.coalesce(tasks.c.started_at, tasks.c.reserved_at)
    given_s: sa.BindParameter[float] = sa.bindparam("took_s", type_=sa.Double())
    duration_s: sa.ColumnElement[float] = sa.func.coalesce(given_s, dialect.now() - began_at)
    return (
        sa.update(tasks)
        .where(*_current_attempt(), sa.text(HELD))
        .values(
            state=sa.bindparam("end_state", type_=sa.Text()),
            rewards=sa.bindparam("measured", type_=tasks.c.rewards.type),
            cause=sa.bindparam("why", type_=sa.Text()),
            message=sa.bindparam("said", type_=sa.Text()),
            device=sa.bindparam("on_device", type_=sa.Text()),
            finished_at=dialect.now(),
            lease_expires_at=None,
            duration_s=duration_s,
            changed=dialect.next_change(JOB),
        )
        .returning(tasks.c.id, *dialect.announcement(TASKS_CHANNEL))
    )


def _counts(*, in_phase: bool) -> sa.Executable:
    statement = sa.select(tasks.c.state, sa.func.count()).where(tasks.c.job_id == JOB).group_by(tasks.c.state)
    return statement.where(tasks.c.phase == PHASE) if in_phase else statement


def _overdue(dialect: Dialect) -> sa.ColumnElement[bool]:
    held = tasks.alias("held")
    late = sa.select(held.c.id).where(held.c.job_id == JOB, sa.text(HELD), held.c.lease_expires_at < dialect.now())
    return sa.exists(late)


def _current_attempt() -> tuple[sa.ColumnElement[bool], ...]:
    return tasks.c.id == TASK, tasks.c.attempt == ATTEMPT, tasks.c.worker_id == WORKER
