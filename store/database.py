"""One process's connection to a store: transactions, retries, failures in the project's words, forks.

A store keeps one connection per process, guarded by a lock: its transactions take about a millisecond, and SQLite has
one writer anyway. Those who wait for changes borrow a connection of their own (see :mod:`.watching`).
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from ..errors import StoreError, StoreUnavailableError
from .dialect import Dialect, Failure, Watch, WatchLostError, channel_of
from .schema import events

T = TypeVar("T")
Row = Sequence[Any]

_log = logging.getLogger(__name__)

DEFAULT_PATIENCE_S = 40.0
"""How long an operation tries again while the database is locked or away."""

_FORK_WAIT_S = 5.0
_MAX_IDLE_WATCHES = 4


class Session:
    """A connection inside a unit of work. It is valid only until the unit ends."""

    def __init__(self, connection: sa.Connection, dialect: Dialect) -> None:
        self.connection = connection
        self._dialect = dialect

    def rows(self, statement: sa.Executable, params: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Execute a statement and return all its rows."""
        return self.connection.execute(statement, params or {}).all()

    def row(self, statement: sa.Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        """Execute a statement and return its first row, None if it has none."""
        return self.connection.execute(statement, params or {}).first()

    def execute(self, statement: sa.Executable) -> int:
        """Execute a statement without rows and return how many it changed."""
        return int(self.connection.execute(statement).rowcount)

    def insert_many(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Insert rows and return them whole, in the order given."""
        statement = sa.insert(table).returning(*table.c, sort_by_parameter_order=True)
        return list(self.connection.execute(statement, rows).all())

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch."""
        return float(self.connection.execute(sa.select(self._dialect.now())).scalar_one())

    def next_change(self, job_id: str) -> sa.ColumnElement[int]:
        """Return what a change of a task's state stores in ``changed``."""
        return self._dialect.next_change(sa.literal(job_id))

    def add_event(self, job_id: str, kind: str, payload: Mapping[str, Any]) -> int:
        """Append an event and announce it; call it last in a unit of work, for it may wait for its turn."""
        self._dialect.order_events(self.connection, job_id)
        values = {"job_id": job_id, "at": self._dialect.now(), "kind": kind, "payload": dict(payload)}
        seq = self.connection.execute(sa.insert(events).values(values).returning(events.c.seq)).scalar_one()
        self.announce(job_id, "events")
        return int(seq)

    def announce(self, job_id: str, *topics: str) -> None:
        """Tell those who watch these topics of a job (``tasks``, ``work``, ``events``), once this is committed."""
        for topic in topics:
            columns = self._dialect.announcement(sa.literal(channel_of(job_id, topic)))
            if columns:
                self.connection.execute(sa.select(*columns))


class Database:
    """A connection that opens when needed, and again after a fork or a loss.

    Args:
        dialect: The database's ways and address.
        patience_s: How long an operation tries again while the database is locked or away, > 0.
    """

    def __init__(self, dialect: Dialect, *, patience_s: float = DEFAULT_PATIENCE_S) -> None:
        self.dialect = dialect
        self._patience_s = patience_s
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None
        self._idle_watches: list[Watch] = []
        _open_databases.add(self)

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work``, which only reads; each statement sees what is committed when it starts.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        return self._persist(lambda connection: work(Session(connection, self.dialect)), again_if_lost=lambda: True)

    def write(self, work: Callable[[Session], T], *, repeatable: bool = False) -> T:
        """Run ``work`` in one transaction: all of it is saved, or nothing.

        Args:
            work: Called again from the start when the database was busy.
            repeatable: Whether saving it twice is the same as once. If not, it is not tried again when the connection
                is lost during the commit, for nobody knows then whether it was saved.

        Raises:
            StoreUnavailableError: The database stays locked or does not answer.
            StoreError: The database refuses, for example because its disk is full.
        """
        committing = False

        def unit(connection: sa.Connection) -> T:
            nonlocal committing
            committing = False
            with self.dialect.writing():
                connection.exec_driver_sql(self.dialect.begin)
                try:
                    result = work(Session(connection, self.dialect))
                    committing = True
                    connection.exec_driver_sql("COMMIT")
                except BaseException:
                    self._roll_back(connection)
                    raise
                return result

        return self._persist(unit, again_if_lost=lambda: repeatable or not committing)

    def change(self, statement: sa.Executable, params: Mapping[str, Any], *, repeatable: bool = False) -> Sequence[Row]:
        """Execute one statement as a transaction of its own and return its rows; see :meth:`write`."""

        def unit(connection: sa.Connection) -> Sequence[Row]:
            with self.dialect.writing():
                return connection.execute(statement, params).all()

        return self._persist(unit, again_if_lost=lambda: repeatable)

    def connect(self) -> None:
        """Connect now.

        Raises:
            StoreUnavailableError: The database does not answer; that it is locked is worth waiting for, but not that.
        """
        self._persist(lambda _: None, again_if_lost=lambda: False)

    def borrow_watch(self, channels: Sequence[str]) -> Watch:
        """Return a watch that hears ``channels`` from now on; give it back with :meth:`return_watch`.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        with self._lock:
            idle, self._idle_watches = self._idle_watches, []
        while idle:
            watch = idle.pop()
            try:
                watch.listen(channels)
            except WatchLostError:
                watch.close()
                continue
            with self._lock:
                self._idle_watches += idle
            return watch
        watch = self._persist(lambda _: self.dialect.open_watch(self._opened_engine()), again_if_lost=lambda: False)
        watch.listen(channels)
        return watch

    def return_watch(self, watch: Watch) -> None:
        """Take a watch back, connected, for the next one who waits."""
        with self._lock:
            if len(self._idle_watches) < _MAX_IDLE_WATCHES:
                self._idle_watches.append(watch)
                return
        watch.close()

    def close(self) -> None:
        """Give the connections back; the next use opens others."""
        with self._lock:
            self._drop()
            while self._idle_watches:
                self._idle_watches.pop().close()
            self.dialect.forget()

    def _persist(self, unit: Callable[[sa.Connection], T], *, again_if_lost: Callable[[], bool]) -> T:
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.002
        while True:
            try:
                with self._lock:
                    return self._once(unit)
            except sa.exc.DBAPIError as e:
                failure = self.dialect.failure(e)
                again = failure is Failure.BUSY or (failure is Failure.LOST and again_if_lost())
                if not again or time.monotonic() >= deadline:
                    raise self._translated(e) from e
                _log.debug("store %s is %s; trying again", self.dialect.address.shown, failure.value)
            time.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311  # spreads the retries of many processes
            pause_s = min(pause_s * 1.5, 0.25)

    def _once(self, unit: Callable[[sa.Connection], T]) -> T:
        connection = self._connected()
        try:
            return unit(connection)
        except sa.exc.DBAPIError as e:
            if self.dialect.failure(e) in (Failure.LOST, Failure.FULL):
                self._drop()
            raise

    def _connected(self) -> sa.Connection:
        if self._connection is None:
            connection = self._opened_engine().connect()
            try:
                self.dialect.prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _opened_engine(self) -> sa.Engine:
        if self._engine is None:
            self._engine = self.dialect.create_engine()
        return self._engine

    def _roll_back(self, connection: sa.Connection) -> None:
        try:
            connection.exec_driver_sql("ROLLBACK")
        except sa.exc.SQLAlchemyError:
            # The database has already ended the transaction, or is gone; a fresh connection is sure to be clean.
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                connection.close()

    def _translated(self, error: sa.exc.DBAPIError) -> StoreError:
        address = self.dialect.address
        said = address.hide(" ".join(str(error.orig).split()))
        failure = self.dialect.failure(error)
        if failure is Failure.BUSY:
            return StoreUnavailableError(
                f"The store {address.shown} stayed locked for {self._patience_s:g} s: {said}.",
                hint="Find the program that holds a lock on it; then run the same command again.",
            )
        if failure is Failure.LOST:
            return StoreUnavailableError(
                f"The store {address.shown} cannot be reached: {said}.",
                hint="Check the URL (OMNIFORGE_STORE_URL), that the database runs and that this user may write to it.",
            )
        if failure is Failure.FULL:
            return StoreError(
                f"The store {address.shown} could not save: {said}. Nothing of this change was kept.",
                hint="Check its disk and make room; then run the same command again.",
            )
        return StoreError(f"The store {address.shown} refused: {said}.")

    # A connection must not be used by two processes. Forks wait for the transaction in progress, so that the child
    # never inherits half of one; the child then forgets the connections without closing them, which would disturb the
    # parent.

    def _before_fork(self) -> None:
        self._lock.acquire(timeout=_FORK_WAIT_S)

    def _after_fork_in_parent(self) -> None:
        with contextlib.suppress(RuntimeError):  # the wait before the fork ended without the lock
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        for inherited in (self._connection, *self._idle_watches):
            # One reference too many, so that not even the end of the child closes it: PostgreSQL would be told goodbye
            # in the parent's name.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
        self._engine = self._connection = None
        self._idle_watches = []
        self._lock = threading.RLock()
        self.dialect.forget()


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _for_all(action: Callable[[Database], None]) -> Callable[[], None]:
    def run() -> None:
        for database in list(_open_databases):
            action(database)

    return run


os.register_at_fork(
    before=_for_all(Database._before_fork),
    after_in_parent=_for_all(Database._after_fork_in_parent),
    after_in_child=_for_all(Database._after_fork_in_child),
)
