"""The pipelines: how the components of a job are put together, compiled for Kubeflow Pipelines and run on this machine.

Importing this package is light; kfp loads when a pipeline is declared or compiled, and is not needed to run a
compiled one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..registry import Registry

if TYPE_CHECKING:
    from .compile import compile_pipeline as compile_pipeline
    from .describe import describe_pipeline as describe_pipeline
    from .local import run_local as run_local
    from .run import run_job as run_job

PIPELINES: Registry[Any] = Registry("pipeline", {"nocode": ".nocode:nocode", "hpo": ".hpo:hpo"}, package=__name__)
"""The pipelines by name; each resolves to what ``kfp.dsl.pipeline`` made of its function."""

_LAZY = {
    "compile_pipeline": ".compile",
    "describe_pipeline": ".describe",
    "run_job": ".run",
    "run_local": ".local",
}

__all__ = ["PIPELINES", "compile_pipeline", "describe_pipeline", "run_job", "run_local"]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
