"""Reading tasks on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_broker import ReadingSuite


class TestReading(ReadingSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""
