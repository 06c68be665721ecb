"""Opening brings the tables up to date, and leaves alone what it does not understand."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from omniforge.errors import StoreError
from omniforge.store import open_store
from omniforge.store.address import parse_address


def execute(url: str, statement: str) -> None:
    with sa.create_engine(parse_address(url).url).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET search_path TO omniforge"))
        connection.execute(sa.text(statement))


def test_a_store_of_a_newer_version_is_refused_and_kept(empty_url: str) -> None:
    with open_store(empty_url) as store:
        store.jobs.create("kept", name="n", kind="hpo", spec={})
    execute(empty_url, "UPDATE store_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="9999") as caught:
        open_store(empty_url)
    assert "newer version" in str(caught.value.hint)
    execute(empty_url, "UPDATE store_version SET version_num = '0001'")
    with open_store(empty_url) as store:
        assert store.jobs.get("kept").name == "n"


def test_a_failed_upgrade_leaves_nothing_behind(tmp_path: Path) -> None:
    """A table of another program stands in the way in the middle of the upgrade."""
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (theirs)")
    with pytest.raises(StoreError, match="events"):
        open_store(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert names == ["events"]


def test_other_programs_with_alembic_may_share_the_database(empty_url: str) -> None:
    path = parse_address(empty_url).path
    if path is not None:
        path.parent.mkdir(parents=True)
    with sa.create_engine(parse_address(empty_url).url).begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    with open_store(empty_url) as store:
        assert store.jobs.list() == []


def test_the_first_step_can_be_taken_back(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    from omniforge.store.migrate import SCRIPTS
    from omniforge.store.schema import VERSION_TABLE, metadata

    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(url).close()
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with sa.create_engine(url).begin() as connection:
        config.attributes.update(connection=connection, metadata=metadata, version_table=VERSION_TABLE)
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == [VERSION_TABLE]
