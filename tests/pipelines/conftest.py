"""The sample pipelines, each compiled once a session; the pipelines that ship, compiled anew and read as a DAG."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omniforge.pipelines import compile_pipeline
from omniforge.pipelines.local import PipelineIR, load_ir


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the compiled file of a sample pipeline by its function's name."""
    folder = tmp_path_factory.mktemp("compiled")

    def compile_once(name: str) -> Path:
        from conformance import pipeline_samples

        path = folder / f"{name}.yaml"
        return path if path.exists() else compile_pipeline(getattr(pipeline_samples, name), path)

    return compile_once


@pytest.fixture(scope="session")
def ir_of(compiled: Callable[[str], Path]) -> Callable[[str], PipelineIR]:
    """Return a sample pipeline's parsed document by its function's name."""
    return lambda name: load_ir(compiled(name))


@dataclass(frozen=True)
class Step:
    """A task that runs something, wherever in the document it stands.

    Attributes:
        component: The function that it runs.
        waits_for: The display names of what ends before it starts, those of the groups around it included.
        retries: How often it is tried again.
        cached: Whether a cluster may take an earlier run's outputs.
        each: What it is repeated for, such as ``start.workers``; empty for a task that runs once.
        constants: The values that are written into the document.
    """

    component: str
    waits_for: frozenset[str]
    retries: int
    cached: bool
    each: str
    constants: Mapping[str, Any]


@pytest.fixture(scope="session")
def steps_of() -> Callable[[Path], dict[str, Step]]:
    """Return the steps of a compiled pipeline by display name."""
    return lambda path: dict(_steps(load_ir(path)))


def _steps(ir: PipelineIR) -> Iterator[tuple[str, Step]]:
    tasks = ir.root["dag"]["tasks"]
    names = {key: task["taskInfo"]["name"] for key, task in tasks.items()}
    for task in tasks.values():
        waits_for = frozenset(names[key] for key in task.get("dependentTasks", []))
        inner = ir.component(task).get("dag", {}).get("tasks", {"": task})
        each = ""
        if "parameterIterator" in task:
            items = task["inputs"]["parameters"][task["parameterIterator"]["items"]["inputParameter"]]
            source = items["taskOutputParameter"]
            each = f"{source['producerTask']}.{source['outputParameterKey']}"
        for one in inner.values():
            parameters = one.get("inputs", {}).get("parameters", {})
            constants = {k: v["runtimeValue"]["constant"] for k, v in parameters.items() if "runtimeValue" in v}
            source = ir.python_component(ir.component(one))
            assert source is not None
            retries = int(one.get("retryPolicy", {}).get("maxRetryCount", 0))
            cached = bool(one.get("cachingOptions", {}).get("enableCache"))
            yield one["taskInfo"]["name"], Step(source.function, waits_for, retries, cached, each, constants)


@pytest.fixture(scope="session")
def compiled_anew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pipelines that ship, compiled by another process in another folder and hash order."""
    folder = tmp_path_factory.mktemp("anew")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")}
    code = "from omniforge.pipelines import *\nfor name in PIPELINES: compile_pipeline(name, f'{name}.yaml')"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=folder, env={**kept, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    )
    return folder
