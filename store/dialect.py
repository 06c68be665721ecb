"""What a database must offer the store beyond SQLAlchemy Core: its clock, its queue, its news, its failures."""

from __future__ import annotations

import enum
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from .address import Address

Clock = Callable[[], float]


class Failure(enum.Enum):
    """What a driver's error means for the one who asked."""

    BUSY = "busy"
    """Someone else is in the way; nothing was changed and the same call can succeed in a moment."""
    LOST = "lost"
    """The connection is gone or cannot be made; a change that was on its way may or may not have been saved."""
    FULL = "full"
    """There is no room to save; nothing was changed."""
    OTHER = "other"


class WatchLostError(Exception):
    """The connection of a watch is gone. Internal: the one who waits opens another."""


class Watch(ABC):
    """A connection of its own on which changes are heard. Not shared between threads."""

    @abstractmethod
    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as something may have changed since the last call, False after ``timeout_s``.

        Raises:
            WatchLostError: The connection is gone.
        """

    @abstractmethod
    def listen(self, channels: Sequence[str]) -> None:
        """Choose what to hear; what changes after this call is heard.

        Raises:
            WatchLostError: The connection is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


class Dialect(ABC):
    """One database's ways.

    Args:
        address: Where it is.
        clock: Seconds since the epoch, in place of the database's own clock; for tests.
    """

    begin: str
    """The statement that begins a transaction that will write."""

    insert: Callable[[sa.Table], Any]
    """The database's own INSERT construct, which knows ON CONFLICT."""

    def __init__(self, address: Address, *, clock: Clock | None = None) -> None:
        self.address = address
        self.clock = clock

    def now(self) -> sa.ColumnElement[float]:
        """Return the expression of the present time, in seconds since the epoch."""
        if self.clock is None:
            return self._own_now()
        return sa.bindparam("now", callable_=self.clock, type_=sa.Double())

    @abstractmethod
    def create_engine(self) -> sa.Engine:
        """Return an engine whose connections commit each statement, until ``begin`` is executed."""

    @abstractmethod
    def prepare(self, connection: sa.Connection) -> None:
        """Set a new connection up."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Wait for a turn to write, and hold it."""

    @abstractmethod
    def next_change(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """Return the expression that a change of a task's state stores in ``changed``."""

    @abstractmethod
    def position(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        """Return the largest number below which no change can still appear."""

    @abstractmethod
    def announcement(self, channel: sa.ColumnElement[str]) -> list[sa.ColumnElement[Any]]:
        """Return the columns that tell those who watch ``channel``, to be selected or returned by a change."""

    @abstractmethod
    def lock_schema(self, connection: sa.Connection) -> None:
        """Keep others from changing the tables until the transaction ends."""

    @abstractmethod
    def order_events(self, connection: sa.Connection, job_id: str) -> None:
        """Let the events of a job become visible in the order of their numbers, until the transaction ends."""

    def upsert(self, table: sa.Table, values: dict[str, Any]) -> sa.Executable:
        """Return the statement that inserts a row or, where its primary key exists, replaces its other columns."""
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        insert = self.insert(table).values(values)
        statement: sa.Executable = insert.on_conflict_do_update(index_elements=keys, set_=rest)
        return statement

    @abstractmethod
    def open_watch(self, engine: sa.Engine) -> Watch:
        """Connect a new watch."""

    @abstractmethod
    def failure(self, error: sa.exc.DBAPIError) -> Failure:
        """Say what a driver's error means."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""

    @abstractmethod
    def _own_now(self) -> sa.ColumnElement[float]:
        """Return the expression of the database's own time."""


def channel_of(job_id: str, topic: str) -> str:
    """Name the channel on which ``topic`` of a job is announced; short enough for an identifier of PostgreSQL."""
    digest = hashlib.sha256(job_id.encode()).hexdigest()[:24]
    return f"omniforge_{topic}_{digest}"
