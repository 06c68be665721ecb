"""Records: values that say when they are over and turn into JSON."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from omniforge.store import EventRecord, JobRecord, to_json
from omniforge.store.records import utc, utc_or_none

EVENT = EventRecord(seq=3, job_id="j", at=datetime(2026, 1, 2, tzinfo=UTC), kind="note", payload={"n": [1]})


def test_times_are_aware_utc() -> None:
    assert utc(0).isoformat() == "1970-01-01T00:00:00+00:00"
    assert utc_or_none(None) is None
    assert utc_or_none(1.5) == utc(1.5)


def test_a_record_becomes_json() -> None:
    assert json.loads(json.dumps(to_json(EVENT))) == {
        "seq": 3,
        "job_id": "j",
        "at": "2026-01-02T00:00:00+00:00",
        "kind": "note",
        "payload": {"n": [1]},
    }


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EVENT.kind = "other"  # type: ignore[misc]


def test_missing_times_stay_missing_in_json() -> None:
    job = JobRecord("j", "n", "hpo", "queued", {}, None, None, None, utc(0), None, None)
    assert to_json(job)["started_at"] is None
