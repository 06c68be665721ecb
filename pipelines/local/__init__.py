"""Runs a compiled pipeline on this machine, every task in a process of its own and all that can run at once at once.

It reads the same compiled document that a cluster runs, and is not ``kfp.local``: that runner executes sibling tasks
one after another, so that a job estimator would wait for workers that wait for it. A conformance test holds the two
equal on pipelines that both can run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ir import PipelineIR as PipelineIR
    from .ir import load_ir as load_ir
    from .result import Artifact as Artifact
    from .result import RunResult as RunResult
    from .result import RunStoppedError as RunStoppedError
    from .result import TaskEvent as TaskEvent
    from .result import TaskResult as TaskResult
    from .runner import run_local as run_local

_LAZY = {
    "Artifact": ".result",
    "PipelineIR": ".ir",
    "RunResult": ".result",
    "RunStoppedError": ".result",
    "TaskEvent": ".result",
    "TaskResult": ".result",
    "load_ir": ".ir",
    "run_local": ".runner",
}

__all__ = [
    "Artifact",
    "PipelineIR",
    "RunResult",
    "RunStoppedError",
    "TaskEvent",
    "TaskResult",
    "load_ir",
    "run_local",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
