"""Jobs on SQLite and PostgreSQL."""

from __future__ import annotations

from conformance.store_jobs import JobsSuite, SpaceChangesSuite


class TestJobs(JobsSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""


class TestSpaceChanges(SpaceChangesSuite):
    """The same."""
