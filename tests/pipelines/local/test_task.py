"""A task's folder: what a component is given and what is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import SpecError
from omniforge.pipelines.local import Artifact
from omniforge.pipelines.local.ir import PythonComponent
from omniforge.pipelines.local.task import prepare, read_failure, read_outputs, write_atomically

MODEL = {"artifactType": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}}
COMPONENT: dict[str, Any] = {
    "inputDefinitions": {
        "parameters": {"n": {"parameterType": "NUMBER_INTEGER"}},
        "artifacts": {"old": MODEL, "all": MODEL},
    },
    "outputDefinitions": {
        "parameters": {
            "count": {"parameterType": "NUMBER_INTEGER"},
            "text": {"parameterType": "STRING"},
            "flag": {"parameterType": "BOOLEAN"},
            "items": {"parameterType": "LIST"},
        },
        "artifacts": {"model": MODEL},
    },
}
PYTHON = PythonComponent("def f(): pass\n", "f")


def written(folder: Path, **document: Any) -> None:
    (folder / "executor_output.json").write_text(json.dumps(document))


def test_the_inputs_are_kfps_executor_input(tmp_path: Path) -> None:
    old = Artifact("old", "system.Model", "/models/1", {"n": 1})
    prepare(tmp_path, COMPONENT, PYTHON, {"n": 3, "old": old, "all": [old, old], "extra": [1, 2.0]})
    document = json.loads((tmp_path / "executor_input.json").read_text())
    encoded = {
        "name": "old",
        "type": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"},
        "uri": "/models/1",
        "metadata": {"n": 1},
    }
    assert document["inputs"] == {
        "parameterValues": {"n": 3, "extra": [1, 2.0]},
        "artifacts": {"old": {"artifacts": [encoded]}, "all": {"artifacts": [encoded, encoded]}},
    }
    assert document["outputs"]["parameters"]["count"] == {"outputFile": str(tmp_path / "count")}
    assert document["outputs"]["artifacts"]["model"]["artifacts"][0]["uri"] == str(tmp_path / "model")
    assert document["outputs"]["outputFile"] == str(tmp_path / "executor_output.json")
    assert (tmp_path / "component.py").read_text() == PYTHON.source


def test_what_an_earlier_attempt_left_does_not_count(tmp_path: Path) -> None:
    written(tmp_path, parameterValues={"count": 1})
    write_atomically(tmp_path / "failure.json", "{}")
    prepare(tmp_path, COMPONENT, PYTHON, {})
    assert read_outputs(tmp_path, COMPONENT) == ({}, {})
    assert read_failure(tmp_path) is None


def test_outputs_are_returned_or_written_to_files(tmp_path: Path) -> None:
    written(tmp_path, parameterValues={"count": 2.0, "items": [1, 2.0]})
    (tmp_path / "text").write_text("12")
    (tmp_path / "flag").write_text("True")
    parameters, _ = read_outputs(tmp_path, COMPONENT)
    assert parameters == {"count": 2, "items": [1, 2.0], "text": "12", "flag": True}
    assert [type(value) for value in parameters["items"]] == [int, float]
    assert type(parameters["count"]) is int


def test_a_file_that_is_no_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "items").write_text("[1,")
    with pytest.raises(SpecError, match=r"output 'items' is '\[1,'.*LIST"):
        read_outputs(tmp_path, COMPONENT)


def test_artifacts_have_their_declared_type(tmp_path: Path) -> None:
    found = {"name": "model", "uri": str(tmp_path / "model"), "metadata": {"accuracy": 0.5}}
    written(tmp_path, artifacts={"model": {"artifacts": [found]}})
    _, artifacts = read_outputs(tmp_path, COMPONENT)
    assert artifacts == {"model": Artifact("model", "system.Model", str(tmp_path / "model"), {"accuracy": 0.5})}
    assert artifacts["model"].path == tmp_path / "model"


def test_an_artifact_that_is_kept_elsewhere_is_found_there(tmp_path: Path) -> None:
    found = {"name": "model", "uri": str(tmp_path / "model"), "metadata": {}, "custom_path": "/elsewhere"}
    written(tmp_path, artifacts={"model": {"artifacts": [found]}})
    _, artifacts = read_outputs(tmp_path, COMPONENT)
    assert artifacts["model"].uri == "/elsewhere"
