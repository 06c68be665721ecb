"""Everything that a store must do. For a new database: one class below a fixture ``store_url``, and it inherits it all.

The project's own two databases run the parts one by one, beside the modules that they are about (``tests/store``).
"""

from __future__ import annotations

from conformance.store_broker import AttemptsSuite, BrokerSuite, ReadingSuite
from conformance.store_jobs import (
    EventsSuite,
    JobsSuite,
    KnowledgeSuite,
    SpaceChangesSuite,
    StrategiesSuite,
    WorkersSuite,
)
from conformance.store_machine import MachineSuite
from conformance.store_processes import ProcessesSuite
from conformance.store_watching import WatchingSuite


class StoreSuite(
    JobsSuite,
    EventsSuite,
    SpaceChangesSuite,
    WorkersSuite,
    StrategiesSuite,
    KnowledgeSuite,
    BrokerSuite,
    AttemptsSuite,
    ReadingSuite,
    WatchingSuite,
    ProcessesSuite,
    MachineSuite,
):
    """The whole suite."""
