"""Strategy states on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_jobs import StrategiesSuite


class TestStrategies(StrategiesSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""
