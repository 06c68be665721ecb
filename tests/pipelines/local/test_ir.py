"""Reading a compiled pipeline: files, manifests, and the commands that kfp writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from omniforge.errors import SpecError
from omniforge.pipelines import compile_pipeline
from omniforge.pipelines.local import PipelineIR, load_ir
from omniforge.pipelines.local.ir import is_group, is_loop, parse_container, runs_on_failure, tasks_of


def test_a_file_a_document_and_a_manifest_are_the_same_pipeline(
    compiled: Callable[[str], Path], tmp_path: Path
) -> None:
    from conformance import pipeline_samples

    path = compiled("files")
    document = yaml.safe_load(path.read_text())
    as_json = tmp_path / "files.json"
    as_json.write_text(json.dumps(document))
    manifest = compile_pipeline(pipeline_samples.files, tmp_path / "manifest.yaml", kubernetes_manifest=True)
    assert load_ir(path) == load_ir(str(path)) == load_ir(document) == load_ir(as_json) == load_ir(manifest)
    assert load_ir(path).name == "files"


def test_platform_settings_come_from_the_second_document(tmp_path: Path, compiled: Callable[[str], Path]) -> None:
    settings: dict[str, Any] = {
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-say": {"podMetadata": {}}}}}}
    }
    path = tmp_path / "p.yaml"
    path.write_text(compiled("files").read_text() + "\n---\n" + yaml.safe_dump(settings))
    assert load_ir(path).kubernetes == {"exec-say": {"podMetadata": {}}}


@pytest.mark.parametrize("text", ["a: 1", "[1, 2]", "", "pipelineInfo: {name: x}", "a: [", "{"])
def test_what_is_no_compiled_pipeline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"x\.yaml"):
        load_ir(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml.*No such file"):
        load_ir(tmp_path / "absent.yaml")


def test_a_component_is_its_source_and_function(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("files")
    python = ir.python_component(ir.components["comp-say"])
    assert python is not None
    assert python.function == "say"
    assert "def say(text: str)" in python.source
    assert python.requirements == ()


def test_requirements_are_what_the_bootstrap_installs_without_kfp(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("unsupported")
    python = ir.python_component(ir.components["comp-installs"])
    assert python is not None
    assert python.requirements == ("surely-not-there>=1", "pyyaml>=5", "numpy<1")


def test_options_of_pip_are_no_requirements() -> None:
    script = "python3 -m pip install --quiet --index-url https://index.example --trusted-host index.example 'a>=1' b"
    python = parse_container(
        {
            "command": ["sh", "-c", script, "sh", "-ec", "ephemeral_component.py kfp.dsl.executor_main", "def f(): 1"],
            "args": ["--executor_input", "{{$}}", "--function_to_execute", "f"],
            "env": [{"name": "A", "value": "1"}],
        }
    )
    assert python is not None
    assert python.requirements == ("a>=1", "b")
    assert python.environment == {"A": "1"}


def test_another_command_is_no_python_component(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("unsupported")
    assert ir.python_component(ir.components["comp-container"]) is None
    assert ir.python_component(ir.components["comp-containerized"]) is None


def test_tasks_are_told_apart(ir_of: Callable[[str], PipelineIR]) -> None:
    branches, handled, loop = ir_of("branches"), ir_of("handled"), ir_of("listed_loop")
    assert {name: is_group(name, task) for name, task, _ in ir_of("nested").walk()} == {
        "inner": False, "inner-2": False, "middle": False, "say": False,
    }  # fmt: skip
    assert all(is_group(name, task) for name, task, _ in branches.walk() if name.startswith("condition"))
    assert [name for name, task in tasks_of(handled.root).items() if runs_on_failure(task)] == ["note-ending"]
    assert [name for name, task in tasks_of(loop.root).items() if is_loop(task)] == ["for-loop-1"]
