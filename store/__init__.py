"""The record of work: jobs, tasks under leases, events, knowledge; in SQLite or PostgreSQL. The only home of SQL.

``open_store(url)`` is the entrance. Importing this package is light: SQLAlchemy loads when a store is opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .records import (
    FINISHED_TASK_STATES,
    JOB_STATES,
    TASK_STATES,
    EventRecord,
    JobRecord,
    KnowledgeRecord,
    TaskRecord,
    WorkerRecord,
    to_json,
)

if TYPE_CHECKING:
    from .store import Store as Store
    from .store import open_store as open_store

_LAZY = {"Store": ".store", "open_store": ".store"}

__all__ = [
    "FINISHED_TASK_STATES",
    "JOB_STATES",
    "TASK_STATES",
    "EventRecord",
    "JobRecord",
    "KnowledgeRecord",
    "Store",
    "TaskRecord",
    "WorkerRecord",
    "open_store",
    "to_json",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
