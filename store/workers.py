"""Which workers there are and when they were last heard."""

from __future__ import annotations

import builtins

import sqlalchemy as sa

from ..errors import RecordNotFoundError, SpecError
from .database import Database, Session
from .jobs import locked_job
from .records import WORKER_STATES, WorkerRecord, utc
from .schema import workers


class Workers:
    """The workers of a store.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, worker_id: str, *, job_id: str, pid: int, host: str, state: str = "starting") -> WorkerRecord:
        """Record a worker; one that registers again is the same worker, restarted.

        Raises:
            SpecError: The state is unknown.
            RecordNotFoundError: There is no such job.
        """
        dialect = self._database.dialect
        values = {"id": worker_id, "job_id": job_id, "pid": pid, "host": host, "state": _known(state), "task_id": None}
        times = {"registered_at": dialect.now(), "heartbeat_at": dialect.now()}
        statement = dialect.upsert(workers, values | times)

        def work(session: Session) -> None:
            locked_job(session, job_id, shared=True)
            session.execute(statement)

        self._database.write(work, repeatable=True)
        return self.get(worker_id)

    def heartbeat(self, worker_id: str, *, state: str, task_id: int | None = None) -> None:
        """Record that a worker lives, what it does and with which task.

        Raises:
            RecordNotFoundError: It never registered.
            SpecError: The state is unknown.
        """
        values = {"state": _known(state), "task_id": task_id, "heartbeat_at": self._database.dialect.now()}
        statement = sa.update(workers).where(workers.c.id == worker_id).values(**values)
        if not self._database.write(lambda session: session.execute(statement), repeatable=True):
            raise _not_found(worker_id)

    def get(self, worker_id: str) -> WorkerRecord:
        """Return a worker.

        Raises:
            RecordNotFoundError: It never registered.
        """
        found = self._select(workers.c.id == worker_id)
        if not found:
            raise _not_found(worker_id)
        return found[0]

    def list(self, job_id: str) -> builtins.list[WorkerRecord]:
        """Return the workers of a job in the order of their registration."""
        return self._select(workers.c.job_id == job_id)

    def mark_lost(self, job_id: str, *, silent_s: float) -> builtins.list[WorkerRecord]:
        """Mark workers lost that should be alive and were not heard for ``silent_s``; return these."""
        silent = workers.c.heartbeat_at < self._database.dialect.now() - silent_s
        alive = workers.c.state.in_(("starting", "idle", "busy"))
        statement = (
            sa.update(workers)
            .where(workers.c.job_id == job_id, silent, alive)
            .values(state="lost", task_id=None)
            .returning(workers.c.id)
        )
        marked = {row[0] for row in self._database.change(statement, {}, repeatable=True)}
        return [worker for worker in self.list(job_id) if worker.id in marked]

    def _select(self, condition: sa.ColumnElement[bool]) -> builtins.list[WorkerRecord]:
        age_s = self._database.dialect.now() - workers.c.heartbeat_at
        columns = workers.c
        statement = sa.select(
            columns.id,
            columns.job_id,
            columns.pid,
            columns.host,
            columns.state,
            columns.heartbeat_at,
            columns.task_id,
            age_s,
        )
        statement = statement.where(condition).order_by(columns.registered_at, columns.id)
        return [
            WorkerRecord(
                id=row[0],
                job_id=row[1],
                pid=row[2],
                host=row[3],
                state=row[4],
                heartbeat_at=utc(row[5]),
                task_id=row[6],
                heartbeat_age_s=max(0.0, row[7]),
            )
            for row in self._database.read(lambda session: session.rows(statement))
        ]


def _known(state: str) -> str:
    if state not in WORKER_STATES:
        raise SpecError(f"Worker state {state!r}; expected one of {', '.join(WORKER_STATES)}.")
    return state


def _not_found(worker_id: str) -> RecordNotFoundError:
    return RecordNotFoundError(f"There is no worker {worker_id!r}.", hint="Register it first.")
