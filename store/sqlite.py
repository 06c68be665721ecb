"""SQLite's ways: one file in WAL mode, every commit on disk, writers in a queue, changes seen by a version number."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from typing_extensions import override

from ..errors import StoreUnavailableError
from .address import Address
from .dialect import Clock, Dialect, Failure, Watch, WatchLostError
from .gate import WriterGate
from .schema import tasks
from .values import dumps

_BUSY_SLICE_S = 0.25
"""How long SQLite itself waits for its lock; short, because the store tries again until its patience ends."""

_POLL_MIN_S = 0.005
_POLL_MAX_S = 0.05

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_LOST = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


_seen = tasks.alias("seen")


class SqliteDialect(Dialect):
    """One SQLite file. Its clock is the host's: all who use the file are on one host."""

    begin = "BEGIN IMMEDIATE"
    insert = staticmethod(sqlite.insert)

    def __init__(self, address: Address, *, clock: Clock | None = None) -> None:
        super().__init__(address, clock=clock or time.time)
        if address.path is None:
            raise ValueError("an SQLite address has a path")
        self._path = address.path
        self._gate = WriterGate(Path(f"{address.path.resolve()}-gate"))

    @override
    def create_engine(self) -> sa.Engine:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreUnavailableError(
                f"The folder of the store {self.address.shown} cannot be made: {e.strerror or e}.",
                hint="Check the URL (OMNIFORGE_STORE_URL) and that this user may write there.",
            ) from e
        return sa.create_engine(
            self.address.url,
            poolclass=sa.pool.NullPool,
            json_serializer=dumps,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_SLICE_S},
        )

    @override
    def prepare(self, connection: sa.Connection) -> None:
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
            with self._gate.turn():
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")

    @override
    def writing(self) -> AbstractContextManager[None]:
        return self._gate.turn()

    @override
    def next_change(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        return self.position(job_id) + 1

    @override
    def position(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        last = sa.select(sa.func.coalesce(sa.func.max(_seen.c.changed), 0)).where(_seen.c.job_id == job_id)
        return last.scalar_subquery()

    @override
    def announcement(self, channel: sa.ColumnElement[str]) -> list[sa.ColumnElement[Any]]:
        return []

    @override
    def lock_schema(self, connection: sa.Connection) -> None:
        """Do nothing: there is one writer at a time."""

    @override
    def order_events(self, connection: sa.Connection, job_id: str) -> None:
        """Do nothing: there is one writer at a time."""

    @override
    def open_watch(self, engine: sa.Engine) -> Watch:
        return _VersionWatch(engine.connect())

    @override
    def failure(self, error: sa.exc.DBAPIError) -> Failure:
        # The low byte is the primary code; the rest says where it arose.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            return Failure.BUSY
        if code == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR:
            return Failure.FULL
        return Failure.LOST if code in _LOST else Failure.OTHER

    @override
    def forget(self) -> None:
        self._gate.close()

    @override
    def _own_now(self) -> sa.ColumnElement[float]:
        raise AssertionError("SQLite is always given a clock")


class _VersionWatch(Watch):
    """Hear commits of other connections by ``PRAGMA data_version``: a look at shared memory, no query of any table."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._seen = self._version()

    @override
    def listen(self, channels: Sequence[str]) -> None:
        self._seen = self._version()

    @override
    def wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_MIN_S
        while True:
            version = self._version()
            if version != self._seen:
                self._seen = version
                return True
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            time.sleep(min(pause_s, remaining_s))
            pause_s = min(pause_s * 1.3, _POLL_MAX_S)

    @override
    def close(self) -> None:
        self._connection.close()

    def _version(self) -> int:
        try:
            return int(self._connection.exec_driver_sql("PRAGMA data_version").scalar_one())
        except sa.exc.DBAPIError as e:
            raise WatchLostError from e
