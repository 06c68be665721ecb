"""Leases and attempts on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_broker import AttemptsSuite


class TestAttempts(AttemptsSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""
