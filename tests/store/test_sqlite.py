"""SQLite's ways: durable settings, a locked file, a full disk, a file that is none."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from conformance.store_base import candidates, reserved

from omniforge.errors import StoreError, StoreUnavailableError
from omniforge.search import Candidate
from omniforge.store import open_store
from omniforge.store.address import parse_address
from omniforge.store.dialect import Failure
from omniforge.store.sqlite import SqliteDialect

_fork = multiprocessing.get_context("fork")


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def locked(url: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file_of(url), isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def locked_for(url: str, seconds: float) -> Iterator[None]:
    """Let another program hold the file's lock for so long."""
    with locked(url) as connection:
        timer = threading.Timer(seconds, connection.execute, ["ROLLBACK"])
        timer.start()
        yield
        timer.join()


def test_every_commit_is_durable(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        pragmas = store._database.read(
            lambda session: {
                name: session.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        )
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.fault
def test_a_file_locked_for_five_seconds_is_waited_for(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        store.jobs.create("job-1", name="n", kind="hpo", spec={})
        store.broker.put("job-1", candidates(1))
        task = reserved(store, "job-1", "w", lease_s=60)
        began = time.monotonic()
        with locked_for(sqlite_url, 5):
            assert store.broker.counts("job-1")["reserved"] == 1  # readers are not stopped
            assert store.broker.report(task, "succeeded", {"score": 1.0}) is True
        assert time.monotonic() - began >= 4.9
        assert store.broker.get(task.id).rewards == {"score": 1.0}


@pytest.mark.fault
def test_a_store_can_be_opened_while_the_file_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with locked_for(url, 0.5), open_store(url) as store:
        assert store.jobs.list() == []


@pytest.mark.fault
def test_a_file_that_stays_locked_is_reported_and_nothing_changed(sqlite_url: str) -> None:
    with open_store(sqlite_url, patience_s=0.4) as store:
        store.jobs.create("job-1", name="n", kind="hpo", spec={})
        with (
            locked(sqlite_url),
            pytest.raises(StoreUnavailableError, match=r"stayed locked for 0\.4 s") as caught,
        ):
            store.broker.put("job-1", candidates(1))
        assert caught.value.retryable
        assert store.broker.tasks("job-1") == []
        assert len(store.broker.put("job-1", candidates(1))) == 1


def _fill(url: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_store(url) as store:
        store.jobs.create("job-1", name="n", kind="hpo", spec={})
        kept = store.broker.put("job-1", candidates(3))
        wal = Path(f"{file_of(url)}-wal").stat().st_size
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 8192, hard))
        large = [Candidate(config={"text": "x" * 5000})] * 50
        with pytest.raises(StoreError, match="could not save") as caught:
            store.broker.put("job-1", large)
        assert not isinstance(caught.value, StoreUnavailableError)
        assert "make room" in str(caught.value.hint)
        assert store.broker.tasks("job-1") == kept
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert len(store.broker.put("job-1", large)) == 50


@pytest.mark.fault
def test_a_full_disk_is_reported_and_nothing_is_half_written(sqlite_url: str) -> None:
    """In a process of its own, whose files may not grow: writing fails as it does on a full disk."""
    process = _fork.Process(target=_fill, args=(sqlite_url,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    with open_store(sqlite_url) as store:
        assert store.broker.counts("job-1")["pending"] == 53
    assert sqlite3.connect(file_of(sqlite_url)).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_sqlites_own_word_for_a_full_disk_is_understood(sqlite_url: str) -> None:
    dialect = SqliteDialect(parse_address(sqlite_url))
    with dialect.create_engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(sa.exc.OperationalError, match="full") as caught:
            connection.exec_driver_sql("CREATE TABLE one_more (x)")
    assert dialect.failure(caught.value) is Failure.FULL


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are notes, not a database\n" * 100)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("these are notes")


@pytest.mark.parametrize("path", ["/dev/null/store.db", "/proc/nowhere/store.db"])
def test_a_folder_that_cannot_be_made_is_reported(path: str) -> None:
    with pytest.raises(StoreUnavailableError, match=path) as caught:
        open_store(f"sqlite:///{path}")
    assert caught.value.exit_code == 2


def test_a_watch_hears_other_connections_only_when_something_was_saved(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, open_store(sqlite_url) as other:
        watch = store._database.borrow_watch([])
        assert watch.wait(0) is False
        other.jobs.list()
        assert watch.wait(0) is False
        other.jobs.create("a", name="n", kind="hpo", spec={})
        assert watch.wait(0) is True
        assert watch.wait(0) is False
        store._database.return_watch(watch)
