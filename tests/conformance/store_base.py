"""What the parts of the store's conformance suite share: a clock that is set by hand, a job, candidates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from omniforge.search import Candidate
from omniforge.store import Store, TaskRecord, open_store


class FakeClock:
    """Seconds since the epoch that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def candidates(count: int) -> list[Candidate]:
    return [Candidate(config={"x": 0.5 * i, "kind": "a"}, fidelity={"epochs": 3.0}) for i in range(count)]


def reserved(
    store: Store, job: str, worker: str = "w1", *, lease_s: float = 60, phase: str | None = None
) -> TaskRecord:
    """Reserve a task that must be there."""
    task = store.broker.reserve(job, worker, lease_s=lease_s, phase=phase)
    assert task is not None
    return task


def seconds(at: datetime | None) -> float:
    """Return a time that must be there in seconds since the epoch."""
    assert at is not None
    return at.timestamp()


class StoreBase:
    """The fixtures. ``store_url`` is what an implementation brings: a database with no rows."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, store_url: str, clock: FakeClock) -> Iterator[Store]:
        with open_store(store_url, clock=clock) as store:
            yield store

    @pytest.fixture
    def job(self, store: Store) -> str:
        store.jobs.create("job-1", name="one", kind="nocode", spec={"target": "y"})
        return store.jobs.start("job-1").id
