"""The store: one object that holds what the parts of a job share, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..errors import MissingDependencyError
from .address import Address, parse_address
from .broker import Broker
from .database import DEFAULT_PATIENCE_S, Database
from .dialect import Clock, Dialect
from .events import Events
from .jobs import Jobs
from .knowledge import Knowledge
from .migrate import migrate
from .records import EventRecord, to_json
from .strategies import Strategies
from .workers import Workers

_EXPORT_VERSION = 1


class Store:
    """An open store; also a context manager that closes it. Made by :func:`open_store`.

    It may be shared by threads, and it may be used on both sides of a fork.

    Args:
        url: As it was given.
        database: The connection.
    """

    def __init__(self, url: str, database: Database) -> None:
        self.url = url
        self.jobs = Jobs(database)
        self.broker = Broker(database)
        self.workers = Workers(database)
        self.events = Events(database)
        self.knowledge = Knowledge(database)
        self.strategies = Strategies(database)
        self._database = database

    def export(self, job_id: str) -> dict[str, Any]:
        """Return everything that is recorded of a job, as JSON values.

        Raises:
            RecordNotFoundError: There is no such job.
        """
        job = self.jobs.get(job_id)
        tasks = self.broker.tasks(job_id)
        phases = sorted({task.phase for task in tasks})
        events: list[EventRecord] = []
        while more := self.events.since(job_id, events[-1].seq if events else 0):
            events += more
        return {
            "version": _EXPORT_VERSION,
            "job": to_json(job),
            "tasks": [to_json(task) for task in tasks],
            "curves": {phase: self.broker.curves(job_id, phase) for phase in phases},
            "workers": [to_json(worker) for worker in self.workers.list(job_id)],
            "strategies": {phase: self.strategies.load(job_id, phase) for phase in phases},
            "events": [to_json(event) for event in events],
        }

    def close(self) -> None:
        """Disconnect. A closed store that is used again connects again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._database.dialect.address.shown!r})"


def open_store(url: str, *, clock: Clock | None = None, patience_s: float = DEFAULT_PATIENCE_S) -> Store:
    """Open a store, and create or upgrade its tables where that is needed.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
        clock: Seconds since the epoch, in place of the database's own clock; for tests.
        patience_s: How long an operation tries again while the database is locked or away, in seconds, > 0.

    Raises:
        SpecError: The URL cannot be understood.
        StoreUnavailableError: The database does not answer.
        StoreError: It was made by a newer version of the program.
        MissingDependencyError: The driver for PostgreSQL is not installed.
    """
    address = parse_address(url)
    database = Database(_DIALECTS[address.kind](address, clock), patience_s=patience_s)
    try:
        database.connect()
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(url, database)


def _sqlite(address: Address, clock: Clock | None) -> Dialect:
    from .sqlite import SqliteDialect

    return SqliteDialect(address, clock=clock)


def _postgres(address: Address, clock: Clock | None) -> Dialect:
    try:
        from .postgres import PostgresDialect
    except ImportError as e:
        raise MissingDependencyError(
            "A store on PostgreSQL needs psycopg, which is not installed.",
            hint="Run: pip install 'omniforge[postgres]'",
        ) from e
    return PostgresDialect(address, clock=clock)


_DIALECTS: dict[str, Callable[[Address, Clock | None], Dialect]] = {"sqlite": _sqlite, "postgresql": _postgres}
