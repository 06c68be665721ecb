"""Events on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_jobs import EventsSuite


class TestEvents(EventsSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""
