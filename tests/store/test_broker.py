"""The broker on SQLite and PostgreSQL, call by call and against a model in any order of calls."""

from __future__ import annotations

from conformance.store_broker import BrokerSuite
from conformance.store_machine import MachineSuite


class TestBroker(BrokerSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""


class TestMachine(MachineSuite):
    """Both databases."""
