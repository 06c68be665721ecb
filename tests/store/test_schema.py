"""The tables are what the migrations build, and partial indexes repeat their conditions."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from omniforge.store import open_store
from omniforge.store.address import parse_address
from omniforge.store.migrate import SCRIPTS
from omniforge.store.schema import HEAD, VERSION_TABLE, metadata


def connected(url: str) -> sa.Connection:
    connection = sa.create_engine(parse_address(url).url).connect()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET search_path TO omniforge"))
        connection.dialect.default_schema_name = "omniforge"
    return connection


def test_the_migrations_build_exactly_the_tables(empty_url: str) -> None:
    open_store(empty_url).close()
    with connected(empty_url) as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


@pytest.mark.parametrize("name", ["ix_tasks_pending", "ix_tasks_held"])
def test_the_indexes_of_open_tasks_are_partial(empty_url: str, name: str) -> None:
    open_store(empty_url).close()
    with connected(empty_url) as connection:
        found = {index["name"]: index for index in sa.inspect(connection).get_indexes("tasks")}
    assert any(key.endswith("_where") for key in found[name]["dialect_options"])
