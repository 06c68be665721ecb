"""Workers on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_jobs import WorkersSuite


class TestWorkers(WorkersSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""
