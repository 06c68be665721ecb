"""Waiting on SQLite and PostgreSQL, and through the loss of the connection that listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
from conformance.store_base import StoreBase, candidates, reserved
from conformance.store_watching import WatchingSuite, meanwhile

from omniforge.errors import StoreUnavailableError
from omniforge.store import Store, open_store
from omniforge.store.dialect import WatchLostError, channel_of
from omniforge.store.watching import wait_until

T = TypeVar("T")


class TestWatching(WatchingSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""


class FlakyWatch:
    """Is lost the first time that somebody waits on it."""

    def __init__(self, database: FlakyDatabase) -> None:
        self.database = database

    def wait(self, timeout_s: float) -> bool:
        if self.database.losses:
            self.database.losses -= 1
            raise WatchLostError
        return True

    def close(self) -> None:
        self.database.closed += 1


class FlakyDatabase:
    """Lends watches that are lost, and for a while none at all."""

    def __init__(self, *, losses: int = 0, refusals: int = 0) -> None:
        self.losses, self.refusals = losses, refusals
        self.closed = self.returned = 0

    def borrow_watch(self, channels: list[str]) -> FlakyWatch:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailableError("away")
        return FlakyWatch(self)

    def return_watch(self, watch: FlakyWatch) -> None:
        self.returned += 1


def test_a_lost_watch_is_replaced_and_the_probe_asked_again() -> None:
    database = FlakyDatabase(losses=2)
    answers = iter([None, None, None, "found"])
    assert wait_until(database, lambda: next(answers), channels=["c"], timeout_s=60) == "found"  # type: ignore[arg-type]
    assert (database.closed, database.returned) == (2, 1)


def test_a_store_that_comes_back_in_time_is_waited_for() -> None:
    database = FlakyDatabase(refusals=1)
    assert wait_until(database, lambda: "found", channels=[], timeout_s=60) == "found"  # type: ignore[arg-type]


def test_a_store_that_stays_away_is_reported() -> None:
    database = FlakyDatabase(refusals=1000)
    with pytest.raises(StoreUnavailableError, match="away"):
        wait_until(database, lambda: "found", channels=[], timeout_s=0.2)  # type: ignore[arg-type]


def test_an_error_of_the_probe_gives_the_watch_back() -> None:
    database = FlakyDatabase()
    with pytest.raises(ZeroDivisionError):
        wait_until(database, lambda: 1 // 0, channels=[], timeout_s=9)  # type: ignore[arg-type]
    assert database.returned == 1


class TestNews(StoreBase):
    """That a change is heard at all; ``wait`` looks once a second also when it hears nothing."""

    def test_every_change_is_announced(self, store: Store, job: str) -> None:
        heard: list[str] = []

        def hears(topic: str, change: Callable[[], T]) -> T:
            watch = store._database.borrow_watch([channel_of(job, topic)])
            assert watch.wait(0) is False
            result = change()
            assert watch.wait(20) is True
            store._database.return_watch(watch)
            heard.append(topic)
            return result

        for topic in ("tasks", "work"):
            hears(topic, lambda: store.broker.put(job, candidates(3)))
        task = hears("tasks", lambda: reserved(store, job))
        hears("tasks", lambda: store.broker.start(task))
        hears("work", lambda: store.broker.release(task, cause="killed"))
        again = hears("tasks", lambda: reserved(store, job))
        hears("tasks", lambda: store.broker.report(again, "succeeded"))
        hears("tasks", lambda: store.broker.timeout(task.id + 1))
        hears("work", lambda: store.broker.close_phase(job, "search"))
        hears("events", lambda: store.events.append(job, "note", {}))
        for topic in ("events", "work", "tasks"):
            store.jobs.start(job)
            hears(topic, lambda: store.jobs.request_cancel(job))
        assert len(heard) == 13

    def test_a_watch_is_used_again_without_hearing_the_past(self, store: Store, job: str) -> None:
        first = store._database.borrow_watch([channel_of(job, "tasks")])
        store.broker.put(job, candidates(1))
        store._database.return_watch(first)
        second = store._database.borrow_watch([channel_of("another", "tasks")])
        assert second is first
        assert second.wait(0) is False


@pytest.mark.service
@pytest.mark.fault
def test_a_wait_survives_the_server_cutting_all_connections(postgres_url: str) -> None:
    import psycopg

    with open_store(postgres_url) as store, psycopg.connect(postgres_url, autocommit=True) as admin:
        store.jobs.create("job-1", name="n", kind="hpo", spec={})
        waiting = threading.Event()

        def cut_and_put() -> None:
            waiting.wait(30)
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'omniforge' AND datname = current_database()"
            )
            with open_store(postgres_url) as other:
                other.broker.put("job-1", candidates(1))

        def condition(counts: dict[str, int]) -> bool:
            waiting.set()
            return counts["pending"] == 1

        with meanwhile(cut_and_put):
            began = time.monotonic()
            assert store.broker.wait("job-1", condition, 60)
            assert time.monotonic() - began < 30
