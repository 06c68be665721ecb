"""A task's folder: what a component is given, and what it wrote, in the form that kfp's executor reads and writes.

::

    <task>/component.py           the component's own source, from the compiled pipeline
    <task>/executor_input.json    its inputs and where its outputs go (KFP's ExecutorInput)
    <task>/executor_output.json   its output parameters and artifacts (KFP's ExecutorOutput)
    <task>/<output>               the files and folders that it wrote as artifacts
    <task>/failure.json           what it raised
    <task>/log.txt                all that it printed, one attempt after another
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import SpecError
from .ir import Json, PythonComponent, definitions_of
from .result import Artifact
from .values import typed

SOURCE_FILE = "component.py"
INPUT_FILE = "executor_input.json"
OUTPUT_FILE = "executor_output.json"
FAILURE_FILE = "failure.json"
LOG_FILE = "log.txt"


def prepare(folder: Path, component: Json, python: PythonComponent, inputs: Mapping[str, Any]) -> None:
    """Write what a component needs into its folder; what an earlier attempt left there as its result goes.

    Args:
        folder: The task's folder, created if need be.
        component: The component spec.
        python: Its source.
        inputs: Parameter values and artifacts by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (OUTPUT_FILE, FAILURE_FILE):
        (folder / name).unlink(missing_ok=True)
    (folder / SOURCE_FILE).write_text(python.source, encoding="utf-8")
    (folder / INPUT_FILE).write_text(json.dumps(executor_input(folder, component, inputs), indent=1), encoding="utf-8")


def executor_input(folder: Path, component: Json, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return KFP's ExecutorInput as JSON."""
    artifact_names = definitions_of(component, kind="artifacts")
    return {
        "inputs": {
            "parameterValues": {name: value for name, value in inputs.items() if name not in artifact_names},
            "artifacts": {
                name: {"artifacts": [_encode(one) for one in (value if isinstance(value, list) else [value])]}
                for name, value in inputs.items()
                if name in artifact_names
            },
        },
        "outputs": {
            "parameters": {
                name: {"outputFile": str(folder / name)} for name in definitions_of(component, side="output")
            },
            "artifacts": {
                name: {"artifacts": [_encode(_blank(folder, name, definition))]}
                for name, definition in definitions_of(component, kind="artifacts", side="output").items()
            },
            "outputFile": str(folder / OUTPUT_FILE),
        },
    }


def read_outputs(folder: Path, component: Json) -> tuple[dict[str, Any], dict[str, Artifact]]:
    """Return what a component gave: (output parameters, output artifacts), by name.

    Raises:
        SpecError: A file that the component wrote for an output parameter (``dsl.OutputPath``) is not a JSON value.
    """
    path = folder / OUTPUT_FILE
    written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    parameters = dict(written.get("parameterValues", {}))
    for name, definition in definitions_of(component, side="output").items():
        if (folder / name).is_file():
            parameters[name] = _read_parameter(folder / name, name, definition)
        if name in parameters:
            parameters[name] = typed(parameters[name], definition)
    artifacts = {}
    for name, definition in definitions_of(component, kind="artifacts", side="output").items():
        found = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
        blank = _blank(folder, name, definition)
        if found:
            # A component may keep its artifact elsewhere; on a cluster it would be uploaded from there.
            uri = found[0].get("custom_path") or found[0].get("uri") or blank.uri
            metadata = found[0].get("metadata", {})
            artifacts[name] = Artifact(found[0].get("name") or name, blank.type, uri, metadata, blank.version)
    return parameters, artifacts


def read_failure(folder: Path) -> Mapping[str, Any] | None:
    """Return what a component raised; None when it left no record.

    It has ``type``, ``message``, ``hint``, and the error's ``exit_code`` and ``retryable``.
    """
    try:
        found: Mapping[str, Any] = json.loads((folder / FAILURE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _blank(folder: Path, name: str, definition: Json) -> Artifact:
    schema = definition.get("artifactType", {})
    return Artifact(
        name, schema.get("schemaTitle", "system.Artifact"), str(folder / name), {}, schema.get("schemaVersion", "0.0.1")
    )


def _encode(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "type": {"schemaTitle": artifact.type, "schemaVersion": artifact.version},
        "uri": artifact.uri,
        "metadata": dict(artifact.metadata),
    }


def _read_parameter(path: Path, name: str, definition: Json) -> Any:
    text = path.read_text(encoding="utf-8")
    kind = definition.get("parameterType")
    if kind == "STRING":
        return text
    try:
        return json.loads(text.lower() if kind == "BOOLEAN" else text)
    except ValueError as e:
        raise SpecError(f"Its output {name!r} is {text[:200]!r}, which is not a JSON value of type {kind}.") from e
