"""The busy path stays short: its statements are served by the indexes that were made for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from omniforge.store import open_store
from omniforge.store.address import parse_address
from omniforge.store.schema import tasks
from omniforge.store.sqlite import SqliteDialect
from omniforge.store.statements import TASK_COLUMNS, Statements, build_statements


@pytest.fixture
def dialect(sqlite_url: str) -> SqliteDialect:
    open_store(sqlite_url).close()
    return SqliteDialect(parse_address(sqlite_url))


@pytest.fixture
def connection(dialect: SqliteDialect) -> Iterator[sa.Connection]:
    with dialect.create_engine().connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("reserve", {"INTEGER PRIMARY KEY", "ix_tasks_pending", "ix_tasks_changed", "ix_tasks_held"}),
        ("reserve_phase", {"INTEGER PRIMARY KEY", "ix_tasks_counts", "ix_tasks_changed", "ix_tasks_held"}),
        ("start", {"INTEGER PRIMARY KEY", "ix_tasks_changed"}),
        ("heartbeat", {"INTEGER PRIMARY KEY", "sqlite_autoindex_jobs_1"}),
        ("report", {"INTEGER PRIMARY KEY", "ix_tasks_changed"}),
        ("overdue", {"ix_tasks_held"}),
        ("counts_phase", {"ix_tasks_counts"}),
    ],
)
def test_no_statement_scans_the_table(
    connection: sa.Connection, dialect: SqliteDialect, name: str, indexes: set[str]
) -> None:
    compiled = getattr(build_statements(dialect), name).compile(dialect=connection.dialect)
    values = dict.fromkeys(compiled.params, None)
    rows = connection.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {compiled}", tuple(values[key] for key in compiled.positiontup)
    ).all()
    steps = [row[-1] for row in rows]
    assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"]
    assert all(any(index in step for step in steps) for index in indexes), steps


def test_a_record_has_the_columns_in_their_order(dialect: SqliteDialect) -> None:
    from dataclasses import fields

    from omniforge.store import TaskRecord

    assert [field.name for field in fields(TaskRecord)] == [column.name for column in TASK_COLUMNS]
    assert tuple(tasks.c) == TASK_COLUMNS
    assert isinstance(build_statements(dialect), Statements)
