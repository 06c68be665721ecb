"""What the store hands out, by value. No record is connected to the database; changing one changes nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

JOB_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
FINISHED_JOB_STATES = ("succeeded", "failed", "cancelled")
TASK_STATES = ("pending", "reserved", "running", "succeeded", "failed", "timeout", "cancelled")
FINISHED_TASK_STATES = ("succeeded", "failed", "timeout", "cancelled")
WORKER_STATES = ("starting", "idle", "busy", "stopped", "lost")


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One search, from the request to the result; times are aware UTC datetimes."""

    id: str
    name: str
    kind: str
    state: str
    spec: dict[str, Any]
    plan: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One candidate at one fidelity, as it was when it was read.

    Attributes:
        id: Unique in the store; tasks are reserved in the order of their ids.
        number: 1-based position in the job.
        attempt: 1-based; grows when a lease is lost or released, up to ``max_attempts``.
        worker_id: Who holds it (reserved, running) or who reported it; None while it is pending.
        cause: Why the last attempt failed, such as ``"lost_worker"`` or ``"out_of_memory"``.
        rewards: Measurement by metric key (``metric`` or ``metric@device``).
        changed: Where its last change of state stands in the order of changes; see ``Broker.position``.
    """

    id: int
    job_id: str
    number: int
    phase: str
    config: dict[str, Any]
    fidelity: dict[str, float] | None
    state: str
    attempt: int
    max_attempts: int
    worker_id: str | None
    lease_expires_at: datetime | None
    created_at: datetime
    reserved_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    cause: str | None
    message: str | None
    rewards: dict[str, float]
    device: str | None
    changed: int

    @property
    def finished(self) -> bool:
        """Whether no further change of state is possible."""
        return self.state in FINISHED_TASK_STATES


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process and how long ago it was heard, by the database's clock."""

    id: str
    job_id: str
    pid: int
    host: str
    state: str
    heartbeat_at: datetime
    heartbeat_age_s: float
    task_id: int | None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to a job; ``seq`` grows in the order in which events become visible."""

    seq: int
    job_id: str
    at: datetime
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnowledgeRecord:
    """What an earlier job learned about data with these meta-features.

    Attributes:
        distance: To the meta-features that were asked about, >= 0; 0 where nothing was asked.
    """

    id: int
    job_id: str
    task_type: str
    meta_features: dict[str, float]
    outcome: dict[str, Any]
    created_at: datetime
    distance: float


Record = JobRecord | TaskRecord | WorkerRecord | EventRecord | KnowledgeRecord


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as JSON values, datetimes in ISO 8601."""
    pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in pairs}


def utc(epoch_s: float) -> datetime:
    """Turn the store's seconds since the epoch into an aware UTC datetime."""
    return datetime.fromtimestamp(epoch_s, UTC)


def utc_or_none(epoch_s: float | None) -> datetime | None:
    """Turn seconds since the epoch into an aware UTC datetime, None into None."""
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
