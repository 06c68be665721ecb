"""What runs inside a task's process: load the component's own source and hand it to kfp's executor.

It does what the container's command does on a cluster (``python -m kfp.dsl.executor_main``), without the shell,
without the installation of packages and without a fresh interpreter where the launcher forks a warm one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import OmniForgeError
from .task import FAILURE_FILE, INPUT_FILE, SOURCE_FILE, write_atomically

ENTRY = "omniforge.pipelines.local.child:main"
"""The entry point of every task's workload."""

_MODULE = "ephemeral_component"  # the name that it has on a cluster


def main(payload: Mapping[str, Any]) -> None:
    """Execute one component.

    Args:
        payload: ``folder``, where :func:`.task.prepare` wrote the source and the inputs, and ``function``, its name.

    Raises:
        Exception: Whatever the component raised, after ``failure.json`` has recorded it for the runner.
    """
    # As in the container: kfp leaves the compiler and the client out, and imports in 20 ms instead of 700 ms.
    os.environ["_KFP_RUNTIME"] = "true"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = Path(payload["folder"])
    try:
        execute(folder, payload["function"])
    except Exception as e:
        with contextlib.suppress(OSError):  # a full disk must not hide what was raised
            write_atomically(folder / FAILURE_FILE, json.dumps(_describe(e)))
        raise


def execute(folder: Path, function: str) -> None:
    """Run the component in ``folder``; kfp's executor writes ``executor_output.json`` there."""
    from kfp.dsl.executor import Executor

    executor_input = json.loads((folder / INPUT_FILE).read_text(encoding="utf-8"))
    component = _load(folder / SOURCE_FILE, function)
    Executor(executor_input=executor_input, function_to_execute=component).execute()


def _load(path: Path, function: str) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as a module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses and multiprocessing look it up by name
    spec.loader.exec_module(module)
    found: Callable[..., Any] = getattr(module, function)
    return found


def _describe(error: Exception) -> dict[str, Any]:
    name = type(error).__name__
    if isinstance(error, OmniForgeError):
        told = {"type": name, "message": error.message, "hint": error.hint}
        return {**told, "exit_code": error.exit_code, "retryable": error.retryable}
    return {"type": name, "message": str(error), "hint": None, "exit_code": 1, "retryable": False}
