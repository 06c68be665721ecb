"""How an attempt ends without a report: its lease expires, its holder gives it back, or nobody waits any longer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .database import Session
from .jobs import locked_job
from .records import FINISHED_TASK_STATES, JobRecord, TaskRecord
from .schema import HELD, tasks
from .statements import TASK_COLUMNS, task_from_row

LOST_WORKER = "lost_worker"


def expire_leases(session: Session, job_id: str) -> list[TaskRecord]:
    """Give back every task of a job whose lease has expired, and return them as they are now."""
    job = locked_job(session, job_id, shared=True)
    late = tasks.c.lease_expires_at < session.now()
    statement = (
        sa.select(*TASK_COLUMNS)
        .where(tasks.c.job_id == job_id, sa.text(HELD), late)
        .order_by(tasks.c.id)
        # Someone who has the row is reporting it, prolonging it, or giving it back too.
        .with_for_update(skip_locked=True)
    )
    given_back = []
    for row in session.rows(statement):
        task = task_from_row(row)
        message = f"Worker {task.worker_id!r} was not heard of while it held attempt {task.attempt}."
        given_back.append(give_back(session, task, job=job, cause=LOST_WORKER, message=message))
    return given_back


def give_back(session: Session, task: TaskRecord, *, job: JobRecord, cause: str, message: str | None) -> TaskRecord:
    """Return a held task to the queue for its next attempt, or end it when there is none.

    Args:
        session: A transaction that has locked the task and the job.
        task: As it is in the database now.
        job: Whose task it is; a cancelled job's tasks end cancelled.
        cause: Why the attempt failed, one word.
        message: The same for people.
    """
    values: dict[str, Any] = {
        "cause": cause,
        "message": message,
        "lease_expires_at": None,
        "changed": session.next_change(job.id),
    }
    if job.state == "cancelled":
        values |= {"state": "cancelled", "finished_at": session.now()}
    elif task.attempt < task.max_attempts:
        values |= {"state": "pending", "attempt": task.attempt + 1, "worker_id": None}
        values |= {"reserved_at": None, "started_at": None}
    else:
        values |= {"state": "failed", "finished_at": session.now()}
    statement = sa.update(tasks).where(tasks.c.id == task.id).values(**values).returning(*TASK_COLUMNS)
    [row] = session.rows(statement)
    now = task_from_row(row)
    session.announce(job.id, "tasks", "work")
    attempt = {"task": task.id, "attempt": task.attempt, "worker": task.worker_id, "cause": cause, "message": message}
    session.add_event(job.id, "task_released", attempt | {"state": now.state})
    return now


def close_task(session: Session, task: TaskRecord, *, state: str, message: str | None = None) -> TaskRecord:
    """End a task as ``state``, which is also the cause, unless it has ended; return it as it is now."""
    values = {"state": state, "cause": state, "finished_at": session.now(), "lease_expires_at": None}
    values |= {} if message is None else {"message": message}
    statement = (
        sa.update(tasks)
        .where(tasks.c.id == task.id, tasks.c.state.not_in(FINISHED_TASK_STATES))
        .values(**values, changed=session.next_change(task.job_id))
        .returning(*TASK_COLUMNS)
    )
    row = session.row(statement)
    if row is not None:
        session.announce(task.job_id, "tasks", "work")
    else:
        row = session.row(sa.select(*TASK_COLUMNS).where(tasks.c.id == task.id))
    return task_from_row(row)
