"""What is known of a job's tasks. Reading changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from ..errors import RecordNotFoundError, SpecError
from .database import Database
from .records import TASK_STATES, TaskRecord
from .schema import phases, progress, tasks
from .statements import TASK_COLUMNS, Statements, build_statements, task_from_row
from .values import without_nulls


class TaskReader:
    """The readable side of the broker.

    Args:
        database: Where the tasks are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements: Statements = build_statements(database.dialect)

    def get(self, task_id: int) -> TaskRecord:
        """Return a task.

        Raises:
            RecordNotFoundError: There is none of that id.
        """
        statement = sa.select(*TASK_COLUMNS).where(tasks.c.id == task_id)
        row = self._database.read(lambda session: session.row(statement))
        if row is None:
            raise RecordNotFoundError(f"There is no task {task_id}.")
        return task_from_row(row)

    def tasks(
        self,
        job_id: str,
        *,
        states: Iterable[str] | None = None,
        phase: str | None = None,
        changed_after: int | None = None,
    ) -> list[TaskRecord]:
        """Return the tasks of a job in the order of their ids.

        Args:
            job_id: Whose tasks; none when there is no such job.
            states: Only these; default all.
            phase: Only this one; default all.
            changed_after: Only tasks whose state changed after this position (see :meth:`position`).

        Raises:
            SpecError: A state is unknown.
        """
        statement = sa.select(*TASK_COLUMNS).where(tasks.c.job_id == job_id).order_by(tasks.c.id)
        if states is not None:
            statement = statement.where(tasks.c.state.in_(_known_states(states)))
        if phase is not None:
            statement = statement.where(tasks.c.phase == phase)
        if changed_after is not None:
            statement = statement.where(tasks.c.changed > changed_after)
        return self._database.read(lambda session: [task_from_row(row) for row in session.rows(statement)])

    def position(self, job_id: str) -> int:
        """Return where the changes of a job's tasks stand now.

        Ask for it *before* :meth:`tasks`, and give it to the next call as ``changed_after``: no change is missed. On
        PostgreSQL a change may come twice, because transactions become visible in another order than they began.
        """
        statement = sa.select(self._database.dialect.position(sa.literal(job_id)))
        row = self._database.read(lambda session: session.row(statement))
        return 0 if row is None else int(row[0])

    def counts(self, job_id: str, *, phase: str | None = None) -> dict[str, int]:
        """Return the number of tasks by state; all seven states are there."""
        statement = self._statements.counts if phase is None else self._statements.counts_phase
        rows = self._database.read(lambda session: session.rows(statement, {"of_job": job_id, "of_phase": phase}))
        return dict.fromkeys(TASK_STATES, 0) | {row[0]: row[1] for row in rows}

    def curves(self, job_id: str, phase: str = "search") -> dict[int, list[tuple[int, dict[str, float]]]]:
        """Return what the current attempts reported as they went: task id to (step, metrics), in the order of steps."""
        statement = (
            sa.select(progress.c.task_id, progress.c.step, progress.c.metrics)
            .join(tasks, (tasks.c.id == progress.c.task_id) & (tasks.c.attempt == progress.c.attempt))
            .where(tasks.c.job_id == job_id, tasks.c.phase == phase)
            .order_by(progress.c.task_id, progress.c.step)
        )
        curves: dict[int, list[tuple[int, dict[str, float]]]] = {}
        for task_id, step, metrics in self._database.read(lambda session: session.rows(statement)):
            curves.setdefault(task_id, []).append((step, without_nulls(metrics)))
        return curves

    def is_closed(self, job_id: str, phase: str) -> bool:
        """Tell whether no more tasks will come in a phase."""
        statement = sa.select(phases.c.phase).where(phases.c.job_id == job_id, phases.c.phase == phase)
        return self._database.read(lambda session: session.row(statement)) is not None


def _known_states(states: Iterable[str]) -> list[str]:
    asked = list(states)
    for state in asked:
        if state not in TASK_STATES:
            raise SpecError(f"Task state {state!r}; expected one of {', '.join(TASK_STATES)}.")
    return asked
