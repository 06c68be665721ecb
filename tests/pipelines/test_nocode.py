"""The NoCode pipeline: start -> (job estimator || workers) -> task estimator -> advisor -> end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from omniforge.pipelines import compile_pipeline
from omniforge.pipelines.run import COMPILED

GOLDEN = COMPILED / "nocode.yaml"


def test_the_file_that_ships_is_what_the_definition_compiles_to(compiled_anew: Path) -> None:
    """``python -m omniforge.pipelines.compiled`` writes it anew."""
    assert (compiled_anew / "nocode.yaml").read_bytes() == GOLDEN.read_bytes()


def test_this_process_compiles_the_same_document(tmp_path: Path) -> None:
    """Less the image, which a developer's environment may set."""

    def without_images(path: Path) -> Any:
        document = yaml.safe_load(path.read_text())
        for executor in document["deploymentSpec"]["executors"].values():
            del executor["container"]["image"]
        return document

    assert without_images(compile_pipeline("nocode", tmp_path / "p.yaml")) == without_images(GOLDEN)


def test_the_search_and_the_workers_run_side_by_side(steps_of: Callable[[Path], dict[str, Any]]) -> None:
    steps = steps_of(GOLDEN)
    assert {name: (step.component, step.waits_for) for name, step in steps.items()} == {
        "start": ("start", frozenset()),
        "job estimator: search": ("job_estimator", {"start"}),
        "worker: search": ("worker", {"start"}),
        "task-estimator": ("task_estimator", {"start", "job estimator: search"}),
        "advisor": ("advisor", {"start", "task-estimator"}),
        "end": ("end", {"start", "advisor"}),
    }
    assert steps["start"].constants == {"kind": "nocode"}


def test_the_plan_says_how_many_workers(steps_of: Callable[[Path], dict[str, Any]]) -> None:
    each = {name: step.each for name, step in steps_of(GOLDEN).items()}
    assert each == {**dict.fromkeys(each, ""), "worker: search": "start.workers"}


def test_nothing_is_taken_from_a_cache_and_the_pair_is_retried(steps_of: Callable[[Path], dict[str, Any]]) -> None:
    steps = steps_of(GOLDEN)
    assert not any(step.cached for step in steps.values())
    retried = {name: step.retries for name, step in steps.items() if step.retries}
    assert retried == {"job estimator: search": 3, "worker: search": 3}


@pytest.mark.parametrize("name", ["nocode", "hpo"])
def test_a_manifest_has_the_fields_of_the_resource(name: str, tmp_path: Path) -> None:
    path = compile_pipeline(name, tmp_path / "manifest.yaml", kubernetes_manifest=True)
    manifest = yaml.safe_load(path.read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("pipelines.kubeflow.org/v2beta1", "PipelineVersion")
    assert manifest["metadata"] == {"name": f"omniforge-{name}"}
    assert set(manifest["spec"]) == {"displayName", "description", "pipelineName", "pipelineSpec"}
    assert manifest["spec"]["pipelineName"] == f"omniforge-{name}"
