"""How a workload starts: in a process forked from a warm server, or in a fresh interpreter; one contract for both.

Every workload is a process group of its own, with a memory and a time limit, a log file and an :class:`Exit` that
says why it ended. Nothing that it started outlives it, and nothing outlives the process that owns the launcher.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .fork import ForkLauncher as ForkLauncher
    from .process import ProcessLauncher as ProcessLauncher
    from .staged import StagedLauncher as StagedLauncher
    from .workload import Exit as Exit
    from .workload import Handle as Handle
    from .workload import Launcher as Launcher
    from .workload import Limits as Limits
    from .workload import Workload as Workload

_LAZY = {
    "Exit": ".workload",
    "ForkLauncher": ".fork",
    "Handle": ".workload",
    "Launcher": ".workload",
    "Limits": ".workload",
    "ProcessLauncher": ".process",
    "StagedLauncher": ".staged",
    "Workload": ".workload",
}

__all__ = [
    "LAUNCHERS",
    "Exit",
    "ForkLauncher",
    "Handle",
    "Launcher",
    "Limits",
    "ProcessLauncher",
    "StagedLauncher",
    "Workload",
]

LAUNCHERS: Registry[type[Launcher]] = Registry(
    "launcher", {"fork": ".fork:ForkLauncher", "process": ".process:ProcessLauncher"}, package=__name__
)
"""The launchers by name."""


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
