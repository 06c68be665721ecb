"""Make the first tables: jobs, tasks, phases, progress, workers, events, knowledge, strategies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'pending'")
_HELD = sa.text("state IN ('reserved', 'running')")


def upgrade() -> None:
    """Make the tables."""
    _create_jobs()
    _create_tasks()
    _create_phases_and_progress()
    _create_workers()
    _create_events()
    _create_knowledge()
    _create_strategies()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("progress", "phases", "strategies", "workers", "events", "tasks", "knowledge", "jobs"):
        op.drop_table(table)


def _row_id(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _job_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=f"fk_{table}_job_id", ondelete="CASCADE")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON()),
        sa.Column("result", sa.JSON()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        _row_id("id"),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("fidelity", sa.JSON()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text()),
        sa.Column("lease_expires_at", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("reserved_at", sa.Double()),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("duration_s", sa.Double()),
        sa.Column("cause", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("rewards", sa.JSON()),
        sa.Column("device", sa.Text()),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        _job_key("tasks"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("uq_tasks_job_id_number", "tasks", ["job_id", "number"], unique=True)
    op.create_index("ix_tasks_counts", "tasks", ["job_id", "phase", "state"])
    op.create_index("ix_tasks_changed", "tasks", ["job_id", "changed"])
    op.create_index("ix_tasks_pending", "tasks", ["job_id", "id"], sqlite_where=_PENDING, postgresql_where=_PENDING)
    op.create_index("ix_tasks_held", "tasks", ["job_id"], sqlite_where=_HELD, postgresql_where=_HELD)


def _create_phases_and_progress() -> None:
    op.create_table(
        "phases",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=False),
        _job_key("phases"),
        sa.PrimaryKeyConstraint("job_id", "phase", name="pk_phases"),
    )
    op.create_table(
        "progress",
        _row_id("task_id"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_progress_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "attempt", "step", name="pk_progress"),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.Column("task_id", sa.BigInteger()),
        _job_key("workers"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_index("ix_workers_job_id", "workers", ["job_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        _row_id("seq"),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        _job_key("events"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
    )
    op.create_index("ix_events_job_id_seq", "events", ["job_id", "seq"])


def _create_knowledge() -> None:
    op.create_table(
        "knowledge",
        _row_id("id"),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("meta_features", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge"),
    )
    op.create_index("ix_knowledge_task_type", "knowledge", ["task_type"])


def _create_strategies() -> None:
    op.create_table(
        "strategies",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        _job_key("strategies"),
        sa.PrimaryKeyConstraint("job_id", "phase", name="pk_strategies"),
    )
