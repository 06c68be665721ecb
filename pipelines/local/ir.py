"""A compiled pipeline as KFP writes it (PipelineSpec 2.1 as YAML or JSON), read without kfp.

It knows the shape of the document: components, executors, tasks. It runs nothing and judges nothing; :mod:`.support`
says what cannot run here. Values stay plain JSON: the one compiled document is what both the cluster and this runner
read.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...errors import SpecError

Json = Mapping[str, Any]
"""A JSON object of the document."""

EXECUTOR_MODULE = "kfp.dsl.executor_main"
EPHEMERAL_MODULE = "ephemeral_component.py"

# The groups that the compiler makes for ParallelFor, If/Elif/Else and ExitHandler; any other DAG is a nested pipeline.
_GROUP = re.compile(r"^(for-loop|condition|condition-branches|exit-handler)-\d+$")


@dataclass(frozen=True)
class PythonComponent:
    """A lightweight Python component: what its container would run.

    Args:
        source: The text of the module that the component's function lives in.
        function: The function's name in that module.
        requirements: What ``pip`` would install first, as PEP 508 text; kfp itself left out.
        environment: Variables of the container.
    """

    source: str
    function: str
    requirements: tuple[str, ...] = ()
    environment: Json = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineIR:
    """A compiled pipeline.

    Args:
        name: The pipeline's name.
        root: The component of the whole pipeline.
        components: Component specs by name (``comp-...``).
        executors: Executor specs by label (``exec-...``).
        kubernetes: Settings of executors that only Kubernetes understands, by label.
    """

    name: str
    root: Json
    components: Json
    executors: Json
    kubernetes: Json

    def component(self, task: Json) -> Json:
        """Return the component that a task runs."""
        found: Json = self.components[task["componentRef"]["name"]]
        return found

    def executor_label(self, component: Json) -> str:
        """Return the label of a component's executor; empty for a DAG."""
        return str(component.get("executorLabel", ""))

    def python_component(self, component: Json) -> PythonComponent | None:
        """Return what a component runs; None when it is not a lightweight Python component."""
        container = self.executors.get(self.executor_label(component), {}).get("container")
        return None if container is None else parse_container(container)

    def walk(self, component: Json | None = None) -> Iterator[tuple[str, Json, Json]]:
        """Yield every task as (name, task, the component whose DAG holds it), outer ones first."""
        outer = self.root if component is None else component
        for name, task in tasks_of(outer).items():
            yield name, task, outer
            inner = self.components.get(task.get("componentRef", {}).get("name"), {})
            if "dag" in inner:
                yield from self.walk(inner)


def load_ir(pipeline: Path | str | Json) -> PipelineIR:
    """Read a compiled pipeline from a file or from the parsed document.

    A file may hold the pipeline alone, followed by its platform settings, or as a ``PipelineVersion`` manifest.

    Raises:
        SpecError: There is no such file, or it is not a compiled pipeline.
    """
    if isinstance(pipeline, Mapping):
        return _parse([pipeline], source="The pipeline")
    path = Path(pipeline)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise SpecError(f"Compiled pipeline {str(path)!r} cannot be read: {e.strerror}.") from e
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = [json.loads(text)] if text.lstrip().startswith("{") else list(yaml.load_all(text, loader))
    except (yaml.YAMLError, ValueError) as e:
        raise SpecError(f"Compiled pipeline {str(path)!r} is not YAML: {e}.") from e
    return _parse(documents, source=repr(str(path)))


def _parse(documents: list[Any], *, source: str) -> PipelineIR:
    pipeline: Json | None = None
    platform: Json = {}
    for document in documents:
        if not isinstance(document, Mapping):
            continue
        if document.get("kind") == "PipelineVersion":
            pipeline = document["spec"]["pipelineSpec"]
            platform = document["spec"].get("platformSpec", {})
        elif "pipelineInfo" in document:
            pipeline = document
        elif "platforms" in document:
            platform = document
    if pipeline is None or "root" not in pipeline:
        raise SpecError(
            f"{source} is not a compiled pipeline: it has no 'pipelineInfo' and 'root'.",
            hint="Compile one with `omniforge compile nocode -o nocode.yaml`.",
        )
    return PipelineIR(
        name=pipeline["pipelineInfo"]["name"],
        root=pipeline["root"],
        components=pipeline.get("components", {}),
        executors=pipeline.get("deploymentSpec", {}).get("executors", {}),
        kubernetes=platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {}),
    )


def parse_container(container: Json) -> PythonComponent | None:
    """Read the Python source out of the command that KFP's compiler writes; None when the command is another one.

    The command is ``sh -c <pip bootstrap> sh -ec <write $0 to a file, run it> <source>``, the bootstrap being optional.
    """
    command = [str(part) for part in container.get("command", ())]
    arguments = [str(part) for part in container.get("args", ())]
    launch = [i for i, part in enumerate(command) if EXECUTOR_MODULE in part and EPHEMERAL_MODULE in part]
    if not launch or launch[0] + 1 >= len(command) or "--function_to_execute" not in arguments:
        return None
    bootstrap = [part for part in command[: launch[0]] if "pip install" in part]
    return PythonComponent(
        source=command[launch[0] + 1],
        function=arguments[arguments.index("--function_to_execute") + 1],
        requirements=tuple(requirement for part in bootstrap for requirement in _requirements(part)),
        environment={variable["name"]: str(variable.get("value", "")) for variable in container.get("env", ())},
    )


def _requirements(bootstrap: str) -> Iterator[str]:
    """Yield what the ``pip install`` commands of a bootstrap script install, without options and without kfp's own."""
    for line in bootstrap.splitlines():
        for command in line.split("&&"):
            _, install, packages = command.partition("pip install ")
            words = shlex.split(packages) if install else []
            if any(word.startswith("kfp==") for word in words):
                continue
            takes_value = False
            for word in words:
                if not word.startswith("-") and not takes_value:
                    yield word
                takes_value = word in ("--index-url", "--extra-index-url", "--trusted-host")


def tasks_of(component: Json) -> Json:
    """Return the tasks of a component's DAG by name; empty when it has none."""
    tasks: Json = component.get("dag", {}).get("tasks", {})
    return tasks


def dependencies_of(task: Json) -> tuple[str, ...]:
    """Return the names of the tasks in the same DAG that a task waits for."""
    return tuple(task.get("dependentTasks", ()))


def is_loop(task: Json) -> bool:
    """Tell whether a task repeats over a list (``dsl.ParallelFor``)."""
    return "parameterIterator" in task or "artifactIterator" in task


def is_group(name: str, task: Json) -> bool:
    """Tell whether the compiler made this DAG for control flow, rather than the author as a pipeline."""
    return is_loop(task) or "condition" in task.get("triggerPolicy", {}) or bool(_GROUP.match(name))


def runs_on_failure(task: Json) -> bool:
    """Tell whether a task runs once its upstream tasks have ended in any way (``dsl.ExitHandler``)."""
    return bool(task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED")


def definitions_of(component: Json, *, kind: str = "parameters", side: str = "input") -> Json:
    """Return a component's declared inputs or outputs, ``kind`` being "parameters" or "artifacts"."""
    found: Json = component.get(f"{side}Definitions", {}).get(kind, {})
    return found


def inputs_of(task: Json, kind: str = "parameters") -> Json:
    """Return where a task's inputs come from, ``kind`` being "parameters" or "artifacts"."""
    found: Json = task.get("inputs", {}).get(kind, {})
    return found
