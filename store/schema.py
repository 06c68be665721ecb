"""The tables, the same on every database. Times are seconds since the epoch; the migrations build exactly this."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0001"
"""The newest migration. Opening a store compares it with one small query, before Alembic is loaded at all."""

VERSION_TABLE = "store_version"
"""Where Alembic keeps the version; not its default name, for other programs that use Alembic may share the database."""

PENDING = "state = 'pending'"
HELD = "state IN ('reserved', 'running')"
"""Literals on purpose: a partial index serves only a query that repeats its condition word for word."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts by itself only in a column that is INTEGER PRIMARY KEY to the letter.
_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Time: sa.Double[float] = sa.Double()
_Json = sa.JSON(none_as_null=True)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("spec", _Json, nullable=False),
    sa.Column("plan", _Json),
    sa.Column("result", _Json),
    sa.Column("error", sa.Text),
    sa.Column("created_at", _Time, nullable=False),
    sa.Column("started_at", _Time),
    sa.Column("finished_at", _Time),
    sa.Index("ix_jobs_created_at", "created_at"),
)


def _job_id(*, primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey("jobs.id", ondelete="CASCADE")
    return sa.Column("job_id", sa.Text, key, nullable=False, primary_key=primary_key)


tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    _job_id(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("config", _Json, nullable=False),
    sa.Column("fidelity", _Json),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("lease_expires_at", _Time),
    sa.Column("created_at", _Time, nullable=False),
    sa.Column("reserved_at", _Time),
    sa.Column("started_at", _Time),
    sa.Column("finished_at", _Time),
    sa.Column("duration_s", sa.Double),
    sa.Column("cause", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("rewards", _Json),
    sa.Column("device", sa.Text),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Index("uq_tasks_job_id_number", "job_id", "number", unique=True),
    sa.Index("ix_tasks_counts", "job_id", "phase", "state"),
    sa.Index("ix_tasks_changed", "job_id", "changed"),
    sa.Index("ix_tasks_pending", "job_id", "id", sqlite_where=sa.text(PENDING), postgresql_where=sa.text(PENDING)),
    sa.Index("ix_tasks_held", "job_id", sqlite_where=sa.text(HELD), postgresql_where=sa.text(HELD)),
)

phases = sa.Table(
    "phases",
    metadata,
    _job_id(primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("closed_at", _Time, nullable=False),
)

progress = sa.Table(
    "progress",
    metadata,
    sa.Column("task_id", _RowId, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True),
    sa.Column("at", _Time, nullable=False),
    sa.Column("metrics", _Json, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _job_id(),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("registered_at", _Time, nullable=False),
    sa.Column("heartbeat_at", _Time, nullable=False),
    sa.Column("task_id", sa.BigInteger),
    sa.Index("ix_workers_job_id", "job_id"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", _RowId, primary_key=True),
    _job_id(),
    sa.Column("at", _Time, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", _Json, nullable=False),
    sa.Index("ix_events_job_id_seq", "job_id", "seq"),
)

knowledge = sa.Table(
    "knowledge",
    metadata,
    sa.Column("id", _RowId, primary_key=True),
    # No foreign key: what was learned outlives the job that taught it.
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("task_type", sa.Text, nullable=False),
    sa.Column("meta_features", _Json, nullable=False),
    sa.Column("outcome", _Json, nullable=False),
    sa.Column("created_at", _Time, nullable=False),
    sa.Index("ix_knowledge_task_type", "task_type"),
)

strategies = sa.Table(
    "strategies",
    metadata,
    _job_id(primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("state", _Json, nullable=False),
    sa.Column("saved_at", _Time, nullable=False),
)
