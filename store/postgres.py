"""PostgreSQL's ways: rows locked with SKIP LOCKED, the server's clock, changes heard by LISTEN and NOTIFY."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy.dialects import postgresql
from typing_extensions import override

from .dialect import Dialect, Failure, Watch, WatchLostError
from .values import dumps

_CONNECT_ARGS = {
    "connect_timeout": 4,
    # A server that vanishes without a word is noticed within some 20 s.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "omniforge",
}
_SESSION = """SELECT set_config('search_path', 'omniforge', false),
    set_config('lock_timeout', '30s', false),
    set_config('idle_in_transaction_session_timeout', '60s', false)"""

_BUSY = (pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure)
_LOST = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.IdleInTransactionSessionTimeout,
    pg.ReadOnlySqlTransaction,
)


class PostgresDialect(Dialect):
    """One database of a PostgreSQL server, in a schema of its own. All times follow the server's clock."""

    begin = "BEGIN"
    insert = staticmethod(postgresql.insert)

    @override
    def create_engine(self) -> sa.Engine:
        # What the URL itself says of the connection goes before our defaults.
        defaults = {name: value for name, value in _CONNECT_ARGS.items() if name not in self.address.url.query}
        return sa.create_engine(
            self.address.url,
            poolclass=sa.pool.NullPool,
            isolation_level="AUTOCOMMIT",
            json_serializer=dumps,
            connect_args=defaults,
        )

    @override
    def prepare(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(_SESSION)

    @override
    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()

    @override
    def next_change(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        # The number of the changing transaction: known without a counter that every report would wait for.
        return sa.cast(sa.cast(sa.func.pg_current_xact_id(), sa.Text), sa.BigInteger)

    @override
    def position(self, job_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
        oldest_running = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
        return sa.cast(sa.cast(oldest_running, sa.Text), sa.BigInteger) - 1

    @override
    def announcement(self, channel: sa.ColumnElement[str]) -> list[sa.ColumnElement[Any]]:
        return [sa.func.pg_notify(channel, "").label("announced")]

    @override
    def lock_schema(self, connection: sa.Connection) -> None:
        connection.execute(_LOCK_SCHEMA)
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS omniforge")

    @override
    def order_events(self, connection: sa.Connection, job_id: str) -> None:
        connection.execute(_ORDER_EVENTS, {"job": job_id})

    @override
    def open_watch(self, engine: sa.Engine) -> Watch:
        return _NotifyWatch(engine.connect())

    @override
    def failure(self, error: sa.exc.DBAPIError) -> Failure:
        cause = error.orig
        if isinstance(cause, _BUSY):
            return Failure.BUSY
        if isinstance(cause, pg.DiskFull):
            return Failure.FULL
        # An OperationalError without a code comes from the client's side: it could not connect or was cut off.
        unsaid = isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
        return Failure.LOST if error.connection_invalidated or unsaid or isinstance(cause, _LOST) else Failure.OTHER

    @override
    def forget(self) -> None:
        pass

    @override
    def _own_now(self) -> sa.ColumnElement[float]:
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double())


_LOCK_SCHEMA = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended("omniforge schema", 7)))

# Events of a job are numbered inside this lock, so that number 8 never becomes visible before number 7.
_ORDER_EVENTS = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("job", type_=sa.Text()), 7))
)


class _NotifyWatch(Watch):
    """A connection that only listens."""

    def __init__(self, connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"expected a connection of psycopg, not {type(driver).__name__}")
        self._connection = connection
        self._driver = driver

    @override
    def listen(self, channels: Sequence[str]) -> None:
        try:
            self._driver.execute("UNLISTEN *", prepare=False)
            for channel in channels:
                self._driver.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)), prepare=False)
            # What the one who waited before has not fetched.
            for _ in self._driver.notifies(timeout=0):
                pass
        except psycopg.OperationalError as e:
            raise WatchLostError from e

    @override
    def wait(self, timeout_s: float) -> bool:
        try:
            return bool(list(self._driver.notifies(timeout=timeout_s, stop_after=1)))
        except psycopg.OperationalError as e:
            raise WatchLostError from e

    @override
    def close(self) -> None:
        self._connection.close()
