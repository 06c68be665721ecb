"""What the databases share: channels and the clock that stands in for theirs."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from omniforge.store import open_store
from omniforge.store.dialect import channel_of


@pytest.mark.parametrize("job_id", ["a", "häßlich; DROP TABLE tasks", "x" * 500])
def test_a_channel_is_a_plain_identifier_whatever_the_job_is_called(job_id: str) -> None:
    channel = channel_of(job_id, "tasks")
    assert re.fullmatch(r"[a-z0-9_]{1,63}", channel)
    assert channel == channel_of(job_id, "tasks")


def test_channels_differ_by_job_and_topic() -> None:
    assert len({channel_of(job, topic) for job in "ab" for topic in ("tasks", "work", "events")}) == 6


def test_a_given_clock_replaces_the_databases_own(store_url: str) -> None:
    times = iter([100.0, 200.0])
    with open_store(store_url, clock=lambda: next(times)) as store:
        assert store.jobs.create("a", name="n", kind="hpo", spec={}).created_at.timestamp() == 100.0


def test_the_default_clock_moves(store_url: str) -> None:
    with open_store(store_url) as store:
        dialect = store._database.dialect
        first, second = (store._database.read(lambda session: session.now()) for _ in range(2))
        assert 1.7e9 < first < second
        assert isinstance(dialect.now().type, sa.Double)
