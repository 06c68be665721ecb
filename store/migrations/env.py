"""Alembic's entrance: runs the steps on the connection, and inside the transaction, of the store that is being opened.

Alembic loads this file by its path, so it can import nothing relative; what it needs comes with the configuration.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
