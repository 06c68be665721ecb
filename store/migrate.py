"""Bringing a store's tables to what this version of the program expects."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ..errors import StoreError
from .database import Database
from .dialect import Dialect
from .schema import HEAD, VERSION_TABLE, metadata

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Create or upgrade the tables, unless they are up to date; safe when many processes do it at once.

    Raises:
        StoreError: The store was made by a newer version of the program.
        StoreUnavailableError: It does not answer.
    """
    if _revision(database) != HEAD:
        database.write(lambda session: _upgrade(session.connection, database.dialect), repeatable=True)


def _revision(database: Database) -> str | None:
    # On the usual path these two queries are all, and Alembic is never imported.
    if not database.read(lambda session: sa.inspect(session.connection).has_table(VERSION_TABLE)):
        return None
    row = database.read(
        lambda session: session.row(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))
    )
    return None if row is None else str(row[0])


def _upgrade(connection: sa.Connection, dialect: Dialect) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    dialect.lock_schema(connection)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes |= {"connection": connection, "metadata": metadata, "version_table": VERSION_TABLE}
    try:
        command.upgrade(config, HEAD)
    except CommandError as e:
        raise StoreError(
            f"The tables of the store {dialect.address.shown} cannot be brought to version {HEAD}: {e}",
            hint="A newer version of the program has used this store; use that version.",
        ) from e
