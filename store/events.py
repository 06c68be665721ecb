"""What happened to a job, in order, for people and programs that follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from .database import Database, Session
from .dialect import channel_of
from .jobs import locked_job
from .records import EventRecord, utc
from .schema import events
from .values import require_json
from .watching import wait_until


class Events:
    """The events of a store.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, job_id: str, kind: str, payload: Mapping[str, Any]) -> int:
        """Add an event and return its number.

        Raises:
            RecordNotFoundError: There is no such job.
            SpecError: The payload is not JSON.
        """
        require_json(payload, what=f"The payload of event {kind!r}")

        def work(session: Session) -> int:
            locked_job(session, job_id, shared=True)
            return session.add_event(job_id, kind, payload)

        return self._database.write(work)

    def since(self, job_id: str, seq: int = 0, limit: int = 1000) -> list[EventRecord]:
        """Return the events of a job whose number is above ``seq``, the oldest first, at most ``limit``."""
        statement = sa.select(events).where(events.c.job_id == job_id, events.c.seq > seq).order_by(events.c.seq)
        rows = self._database.read(lambda session: session.rows(statement.limit(limit)))
        return [EventRecord(seq=row[0], job_id=row[1], at=utc(row[2]), kind=row[3], payload=row[4]) for row in rows]

    def watch(self, job_id: str, after: int, timeout_s: float) -> list[EventRecord]:
        """Return the events above ``after`` as soon as there are any; an empty list when ``timeout_s`` passed first."""
        channels = [channel_of(job_id, "events")]
        found = wait_until(
            self._database, lambda: self.since(job_id, after) or None, channels=channels, timeout_s=timeout_s
        )
        return found or []
