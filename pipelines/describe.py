"""A compiled pipeline as text: a tree of its tasks, with what each waits for. For people, not for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .local.ir import (
    Json,
    PipelineIR,
    definitions_of,
    dependencies_of,
    inputs_of,
    is_loop,
    load_ir,
    runs_on_failure,
    tasks_of,
)

_CHANNEL = re.compile(r"inputs\.parameter_values\['(?:pipelinechannel--)?([^']*)'\]")
_TYPES = {
    "STRING": "str",
    "NUMBER_INTEGER": "int",
    "NUMBER_DOUBLE": "float",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "dict",
}


def describe_pipeline(pipeline: Path | str | Json) -> str:
    """Return a compiled pipeline as a tree of tasks in the order in which they can start.

    Args:
        pipeline: The compiled pipeline: a file, or the parsed document.

    Raises:
        SpecError: There is no such file, or it is not a compiled pipeline.
    """
    ir = load_ir(pipeline)
    parameters = ", ".join(_parameter(name, spec) for name, spec in definitions_of(ir.root).items())
    return "\n".join([f"{ir.name}({parameters})", *_tree(ir, ir.root, "")])


def _parameter(name: str, definition: Json) -> str:
    kind = _TYPES.get(definition.get("parameterType", ""), "any")
    if "defaultValue" not in definition:
        return f"{name}: {kind}" + (" = None" if definition.get("isOptional") else "")
    value: Any = definition["defaultValue"]
    return f"{name}: {kind} = {json.dumps(int(value) if kind == 'int' else value)}"


def _tree(ir: PipelineIR, component: Json, margin: str) -> Iterator[str]:
    ordered = list(_in_order(tasks_of(component)))
    for position, (name, task) in enumerate(ordered):
        last = position == len(ordered) - 1
        yield f"{margin}{'└── ' if last else '├── '}{_line(name, task)}"
        yield from _tree(ir, ir.component(task), margin + ("    " if last else "│   "))


def _in_order(tasks: Json) -> Iterator[tuple[str, Json]]:
    """Yield tasks so that each comes after those that it waits for; otherwise by name."""
    left = dict(sorted(tasks.items()))
    while left:
        free = [name for name, task in left.items() if not set(dependencies_of(task)) & set(left)]
        for name in free or list(left):  # a cycle, which kfp does not compile, is shown as it stands
            yield name, left.pop(name)


def _line(name: str, task: Json) -> str:
    notes = []
    label = task.get("taskInfo", {}).get("name", name)
    condition = task.get("triggerPolicy", {}).get("condition")
    retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
    if is_loop(task):
        notes.append(f"for each of {_items(task)}{_parallelism(task)}")
    if condition:
        notes.append("if " + _CHANNEL.sub(r"\1", condition))
    if dependencies_of(task):
        notes.append(f"{'whatever became of' if runs_on_failure(task) else 'after'} {', '.join(dependencies_of(task))}")
    if retries:
        notes.append(f"retried up to {retries} times")
    shown = name if label == name else f"{name} “{label}”"
    return f"{shown}  ({'; '.join(notes)})" if notes else shown


def _items(task: Json) -> str:
    items = task.get("parameterIterator", task.get("artifactIterator", {}))["items"]
    if "raw" in items:
        return str(items["raw"])
    kind, key = ("parameters", "inputParameter") if "inputParameter" in items else ("artifacts", "inputArtifact")
    source = inputs_of(task, kind).get(items[key], {})
    for reference, output in (
        ("taskOutputParameter", "outputParameterKey"),
        ("taskOutputArtifact", "outputArtifactKey"),
    ):
        if reference in source:
            return f"{source[reference]['producerTask']}.{source[reference][output]}"
    return str(source.get("componentInputParameter", items[key])).removeprefix("pipelinechannel--")


def _parallelism(task: Json) -> str:
    limit = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0))
    return f", {limit} at a time" if limit else ", all at once"
