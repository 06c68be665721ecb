"""The task sidecar: one HTTP service of a worker, through which a task estimator gets its task and gives what it found.

It relays the task, progress and the decision to stop, the model, the result, and the measurements of a deployment
estimator. It keeps no record: what happens with an outcome is the worker's affair. Importing this package loads
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import SidecarClient as SidecarClient
    from .client import SidecarError as SidecarError
    from .messages import FailureMessage as FailureMessage
    from .messages import ResultMessage as ResultMessage
    from .messages import TaskMessage as TaskMessage
    from .server import Sidecar as Sidecar
    from .session import Session as Session

_LAZY = {
    "FailureMessage": ".messages",
    "ResultMessage": ".messages",
    "Session": ".session",
    "Sidecar": ".server",
    "SidecarClient": ".client",
    "SidecarError": ".client",
    "TaskMessage": ".messages",
}

__all__ = ["FailureMessage", "ResultMessage", "Session", "Sidecar", "SidecarClient", "SidecarError", "TaskMessage"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
