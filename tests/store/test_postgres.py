"""PostgreSQL's ways: its clock, its schema, its silence, its sudden end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from conformance.store_base import candidates, reserved, seconds
from psycopg import errors as pg

from omniforge.errors import StoreError, StoreUnavailableError
from omniforge.store import Store, open_store
from omniforge.store.address import parse_address
from omniforge.store.database import Session
from omniforge.store.dialect import Failure
from omniforge.store.postgres import PostgresDialect

pytestmark = pytest.mark.service


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with open_store(postgres_url) as store:
        store.jobs.create("job-1", name="n", kind="hpo", spec={})
        yield store


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def cut_connections(admin: psycopg.Connection) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'omniforge' AND datname = current_database()"
    )


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def server_now(admin: psycopg.Connection) -> float:
    row = admin.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None
    return float(row[0])


def test_leases_follow_the_servers_clock(store: Store, admin: psycopg.Connection) -> None:
    store.broker.put("job-1", candidates(1))
    before = server_now(admin)
    task = reserved(store, "job-1", "w", lease_s=100)
    after = server_now(admin)
    assert before <= seconds(task.reserved_at) <= after
    assert before + 100 <= seconds(task.lease_expires_at) <= after + 100


def test_the_tables_live_in_a_schema_of_their_own(store: Store, admin: psycopg.Connection) -> None:
    schemas = admin.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('tasks', 'store_version')")
    assert schemas.fetchall() == [("omniforge",)]


@pytest.mark.fault
def test_a_cut_connection_is_made_again(store: Store, admin: psycopg.Connection) -> None:
    cut_connections(admin)
    [_, second] = store.broker.put("job-1", candidates(2))
    cut_connections(admin)
    task = reserved(store, "job-1", "w", lease_s=60)
    cut_connections(admin)
    assert store.broker.heartbeat(task, lease_s=60) is True
    cut_connections(admin)
    assert store.broker.report(task, "succeeded", {"score": 1.0}) is True
    cut_connections(admin)
    assert store.broker.timeout(second.id).state == "timeout"
    assert store.broker.get(task.id).attempt == 1


@pytest.mark.fault
def test_a_connection_cut_in_the_middle_of_a_transaction_leaves_nothing(
    store: Store, admin: psycopg.Connection
) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(session.add_event("job-1", "note", {"try": len(tries)}))
        if len(tries) == 1:
            cut_connections(admin)
            session.now()

    store._database.write(work)
    assert notes(store) == [{"try": 1}]


@pytest.mark.fault
def test_a_commit_without_an_answer_is_not_repeated_unless_that_is_the_same(
    store: Store, admin: psycopg.Connection
) -> None:
    """Nobody knows whether it was saved, so saving it again could save it twice."""
    tries: list[int] = []

    def work(session: Session) -> None:
        tries.append(session.add_event("job-1", "note", {"try": len(tries)}))
        if len(tries) == 1:
            cut_connections(admin)

    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        store._database.write(work)
    assert notes(store) == []
    tries.clear()
    store._database.write(work, repeatable=True)
    assert notes(store) == [{"try": 1}]


def test_a_change_that_becomes_visible_late_is_not_missed(store: Store, admin: psycopg.Connection) -> None:
    """Its transaction began before one that is already visible, and ends after the position was asked for."""
    slow, quick = store.broker.put("job-1", candidates(2))
    with admin.transaction():
        admin.execute(
            "UPDATE omniforge.tasks SET state = 'timeout', changed = pg_current_xact_id()::text::bigint WHERE id = %s",
            [slow.id],
        )
        store.broker.cancel(quick.id)
        position = store.broker.position("job-1")
        assert store.broker.tasks("job-1", changed_after=position) == [store.broker.get(quick.id)]
    assert slow.id in [task.id for task in store.broker.tasks("job-1", changed_after=position)]


def notes(store: Store) -> list[dict[str, object]]:
    return [event.payload for event in store.events.since("job-1") if event.kind == "note"]


def test_a_row_that_someone_locks_is_passed_over(store: Store, admin: psycopg.Connection) -> None:
    first, second = store.broker.put("job-1", candidates(2))
    with admin.transaction():
        admin.execute("SELECT 1 FROM omniforge.tasks WHERE id = %s FOR UPDATE", [first.id])
        assert reserved(store, "job-1", "w", lease_s=60).id == second.id
        assert store.broker.reserve("job-1", "w", lease_s=60) is None
    assert reserved(store, "job-1", "w", lease_s=60).id == first.id


@pytest.mark.fault
def test_a_server_that_says_nothing_is_given_up_within_seconds(silent_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        open_store(f"postgresql://me:s3cret@127.0.0.1:{silent_port}/work")
    assert time.monotonic() - began < 10  # 4 s, and room for a busy machine
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_server_at_all_is_reported_at_once(silent_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StoreUnavailableError, match=rf"postgresql://me:\*\*\*@127.0.0.1:{port}/work") as caught:
        open_store(f"postgresql://me:s3cret@127.0.0.1:{port}/work")
    assert "s3cret" not in str(caught.value)
    assert "OMNIFORGE_STORE_URL" in str(caught.value.hint)


def test_a_database_that_does_not_exist_is_named(postgres_server: str) -> None:
    with pytest.raises(StoreUnavailableError, match='"nowhere" does not exist'):
        open_store(postgres_server.replace("/postgres?", "/nowhere?"))


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (pg.DeadlockDetected(), Failure.BUSY),
        (pg.LockNotAvailable(), Failure.BUSY),
        (pg.DiskFull(), Failure.FULL),
        (pg.AdminShutdown(), Failure.LOST),
        (psycopg.OperationalError("connection failed"), Failure.LOST),
        (pg.UndefinedTable(), Failure.OTHER),
    ],
)
def test_errors_are_understood(error: psycopg.Error, failure: Failure) -> None:
    dialect = PostgresDialect(parse_address("postgresql://db/work"))
    assert dialect.failure(sa.exc.DBAPIError("SELECT 1", None, error)) is failure


def test_what_the_server_refuses_is_an_error_of_the_store(store: Store, admin: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match=r"refused: .*does not exist"):
        store._database.read(lambda session: session.row(sa.text("SELECT 1 FROM nowhere")))
    assert store.jobs.get("job-1").name == "n"
