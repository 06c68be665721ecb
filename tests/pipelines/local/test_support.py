"""What a local runner refuses, all of it at once and before anything starts."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from omniforge.errors import SpecError
from omniforge.pipelines.local import PipelineIR
from omniforge.pipelines.local.support import check_supported


def test_every_task_and_feature_is_named(ir_of: Callable[[str], PipelineIR]) -> None:
    with pytest.raises(SpecError) as caught:
        check_supported(ir_of("unsupported"))
    message = str(caught.value)
    assert "task 'container' is a container component" in message
    assert "task 'containerized' is a containerized Python component" in message
    assert "task 'importer' imports an artifact" in message
    assert "task 'installs' needs the package 'surely-not-there>=1', which is not installed here" in message
    assert "task 'installs' needs the package 'numpy<1', but " in message
    assert "pyyaml" not in message
    assert "task 'say' uses {{$.workspace_path}} in its input 'text'" in message


def test_what_can_run_passes(ir_of: Callable[[str], PipelineIR]) -> None:
    for name in ("chain", "files", "nested", "loop_in_loop", "branches", "handled", "named", "chosen_file"):
        check_supported(ir_of(name))


def test_a_reference_to_nothing_is_found_before_the_run(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("files")
    root = copy.deepcopy(dict(ir.root))
    root["dag"]["tasks"]["write-files"]["inputs"]["parameters"]["text"] = {"componentInputParameter": "txet"}
    with pytest.raises(SpecError, match="task 'write-files' reads 'txet' for its input 'text'"):
        check_supported(replace(ir, root=root))


def test_a_condition_that_is_not_understood_is_found_before_the_run(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("leaves")
    root = copy.deepcopy(dict(ir.root))
    root["dag"]["tasks"]["condition-1"]["triggerPolicy"]["condition"] = "size(x) > 1"
    with pytest.raises(SpecError, match="task 'condition-1' has a condition that cannot be evaluated"):
        check_supported(replace(ir, root=root))


def test_artifacts_as_arguments_and_empty_pipelines_are_refused(ir_of: Callable[[str], PipelineIR]) -> None:
    ir = ir_of("files")
    definitions = {"artifacts": {"rows": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    with pytest.raises(SpecError, match="its parameter 'rows' is an artifact"):
        check_supported(replace(ir, root={**ir.root, "inputDefinitions": definitions}))
    with pytest.raises(SpecError, match="no tasks"):
        check_supported(replace(ir, root={"dag": {}}))


def test_kubernetes_settings_without_effect_are_logged(
    ir_of: Callable[[str], PipelineIR], caplog: pytest.LogCaptureFixture
) -> None:
    settings = {
        "exec-say": {"secretAsEnv": [], "activeDeadlineSeconds": "60"},
        "exec-train": {"activeDeadlineSeconds": "1"},
    }
    with caplog.at_level(logging.WARNING):
        check_supported(replace(ir_of("files"), kubernetes=settings))
    assert [record.getMessage().split(". ")[0] for record in caplog.records] == [
        "say: Kubernetes settings without effect in a local run: secretAsEnv"
    ]
