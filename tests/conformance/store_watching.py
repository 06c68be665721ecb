"""Waiting: a change is heard, quickly and without a storm of queries, also when it comes from another connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conformance.store_base import FakeClock, StoreBase, candidates, reserved

from omniforge.store import Store, open_store

_SOON_S = 20.0
"""A deadline for what should take milliseconds; reached only when something is broken."""


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Run ``action`` in a thread a moment after the block has begun, and see that it succeeded."""
    failures: list[BaseException] = []

    def run() -> None:
        time.sleep(0.1)
        try:
            action()
        except BaseException as e:
            failures.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert failures == []


class WatchingSuite(StoreBase):
    @pytest.fixture
    def other(self, store_url: str, store: Store, clock: FakeClock) -> Iterator[Store]:
        """The same store through another connection, as another process has it."""
        with open_store(store_url, clock=clock) as other:
            yield other

    def test_wait_returns_at_once_when_the_condition_holds(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(1))
        assert store.broker.wait(job, lambda counts: counts["pending"] == 1, 0) is True

    def test_wait_gives_up_after_its_time(self, store: Store, job: str) -> None:
        began = time.monotonic()
        assert store.broker.wait(job, lambda counts: counts["succeeded"] > 0, 0.2) is False
        assert 0.2 <= time.monotonic() - began < _SOON_S

    def test_wait_hears_of_every_kind_of_change(self, store: Store, other: Store, job: str) -> None:
        def hears(change: Callable[[], object], state: str, count: int) -> None:
            with meanwhile(change):
                assert store.broker.wait(job, lambda counts: counts[state] == count, _SOON_S)

        hears(lambda: other.broker.put(job, candidates(4)), "pending", 4)
        hears(lambda: other.broker.reserve(job, "w1", lease_s=60), "reserved", 1)
        [task] = other.broker.tasks(job, states=["reserved"])
        hears(lambda: other.broker.start(task), "running", 1)
        hears(lambda: other.broker.release(task, cause="killed"), "pending", 4)
        again = reserved(other, job, "w1", lease_s=60)
        hears(lambda: other.broker.report(again, "succeeded"), "succeeded", 1)
        hears(lambda: other.broker.timeout(task.id + 1), "timeout", 1)
        hears(lambda: other.broker.close_phase(job, "search"), "cancelled", 2)

    def test_wait_hears_changes_of_its_own_process(self, store: Store, job: str) -> None:
        with meanwhile(lambda: store.broker.put(job, candidates(1))):
            assert store.broker.wait(job, lambda counts: counts["pending"] == 1, _SOON_S)

    def test_wait_of_one_phase(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(2), phase="smoke")
        assert store.broker.wait(job, lambda counts: counts["pending"] > 0, 0.05, phase="search") is False
        assert store.broker.wait(job, lambda counts: counts["pending"] == 2, 0.05, phase="smoke") is True

    def test_wait_takes_back_leases_that_expire_meanwhile(self, store_url: str) -> None:
        with open_store(store_url) as store:
            job = store.jobs.create("job-1", name="n", kind="hpo", spec={}).id
            store.broker.put(job, candidates(1), max_attempts=1)
            store.broker.reserve(job, "w1", lease_s=0.2)
            assert store.broker.wait(job, lambda counts: counts["failed"] == 1, _SOON_S)
            assert store.broker.tasks(job)[0].cause == "lost_worker"

    def test_a_quiet_wait_asks_rarely(self, store: Store, other: Store, job: str) -> None:
        asked: list[dict[str, int]] = []

        def condition(counts: dict[str, int]) -> bool:
            asked.append(counts)
            return False

        store.broker.wait(job, condition, 0.9)
        assert len(asked) <= 3

    def test_a_storm_of_changes_is_heard_as_a_few(self, store: Store, other: Store, job: str) -> None:
        asked: list[dict[str, int]] = []
        began = time.monotonic()

        def condition(counts: dict[str, int]) -> bool:
            asked.append(counts)
            return counts["succeeded"] == 200

        def storm() -> None:
            other.broker.put(job, candidates(200))
            while (task := other.broker.reserve(job, "w1", lease_s=60)) is not None:
                other.broker.report(task, "succeeded")

        with meanwhile(storm):
            assert store.broker.wait(job, condition, 2 * _SOON_S)
        assert len(asked) <= 3 + (time.monotonic() - began) / 0.01

    def test_workers_hear_of_work(self, store: Store, other: Store, job: str) -> None:
        assert store.broker.wait_for_work(job, 0.05) is False
        with meanwhile(lambda: other.broker.put(job, candidates(1))):
            assert store.broker.wait_for_work(job, _SOON_S) is True
        assert store.broker.wait_for_work(job, 0, phase="final") is False
        task = reserved(store, job, "w1", lease_s=60)
        with meanwhile(lambda: other.broker.release(task, cause="killed")):
            assert store.broker.wait_for_work(job, _SOON_S, phase="search") is True

    def test_workers_hear_that_no_more_work_comes(self, store: Store, other: Store, job: str) -> None:
        with meanwhile(lambda: other.broker.close_phase(job, "search")):
            assert store.broker.wait_for_work(job, _SOON_S, phase="search") is True
        with meanwhile(lambda: other.jobs.request_cancel(job)):
            assert store.broker.wait_for_work(job, _SOON_S) is True

    def test_events_are_watched(self, store: Store, other: Store, job: str) -> None:
        last = store.events.since(job)[-1].seq
        assert store.events.watch(job, last, 0.05) == []
        with meanwhile(lambda: other.events.append(job, "note", {"n": 1})):
            [event] = store.events.watch(job, last, _SOON_S)
        assert (event.kind, event.payload) == ("note", {"n": 1})
        assert store.events.watch(job, last, 0) == [event]

    def test_many_threads_wait_on_one_store(self, store: Store, job: str) -> None:
        heard: list[bool] = []
        threads = [
            threading.Thread(
                target=lambda: heard.append(store.broker.wait(job, lambda counts: counts["pending"] == 1, _SOON_S))
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        store.broker.put(job, candidates(1))
        for thread in threads:
            thread.join()
        assert heard == [True] * 6
