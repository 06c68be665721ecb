"""The state of search strategies, so that a job goes on where it was cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from .database import Database, Session
from .jobs import locked_job
from .schema import strategies
from .values import require_json


class Strategies:
    """The saved strategy states of a store; what is in them, its version included, is the strategy's business.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, job_id: str, phase: str, state: Mapping[str, Any]) -> None:
        """Keep a strategy's state in place of the one before.

        Raises:
            SpecError: The state is not JSON.
            RecordNotFoundError: There is no such job.
        """
        require_json(state, what=f"The strategy state of job {job_id!r}")
        dialect = self._database.dialect
        values = {"job_id": job_id, "phase": phase, "state": dict(state), "saved_at": dialect.now()}
        statement = dialect.upsert(strategies, values)

        def work(session: Session) -> None:
            locked_job(session, job_id, shared=True)
            session.execute(statement)

        self._database.write(work, repeatable=True)

    def load(self, job_id: str, phase: str) -> dict[str, Any] | None:
        """Return the state that was saved last, None if there is none."""
        statement = sa.select(strategies.c.state).where(strategies.c.job_id == job_id, strategies.c.phase == phase)
        row = self._database.read(lambda session: session.row(statement))
        return None if row is None else dict(row[0])
