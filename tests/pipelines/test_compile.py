"""Compiling: the same bytes everywhere, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from omniforge.errors import SpecError, UnknownNameError
from omniforge.pipelines import compile_pipeline

COMPILE = """
import sys
sys.path.insert(0, sys.argv[1])
from conformance import pipeline_samples
from omniforge.pipelines import compile_pipeline

for name in sys.argv[3:]:
    compile_pipeline(getattr(pipeline_samples, name), f"{sys.argv[2]}/{name}.yaml")
"""
NAMES = ["search", "files", "failing", "branches", "loop_in_loop", "nested"]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_bytes_are_the_same_in_another_process_folder_and_hash_order(
    compiled: Callable[[str], Path], tmp_path: Path, seed: str
) -> None:
    elsewhere = tmp_path / "a copy" / "conformance"
    shutil.copytree(Path(__file__).parents[1] / "conformance", elsewhere, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONHASHSEED": seed, "HOME": str(tmp_path), "TZ": "Asia/Tokyo"}
    arguments = [sys.executable, "-c", COMPILE, str(elsewhere.parent), str(tmp_path), *NAMES]
    subprocess.run(arguments, check=True, env=environment, cwd=tmp_path)
    for name in NAMES:
        assert (tmp_path / f"{name}.yaml").read_bytes() == compiled(name).read_bytes(), name


def test_a_manifest_is_the_same_in_another_process_too(tmp_path: Path) -> None:
    from conformance import pipeline_samples

    here = compile_pipeline(pipeline_samples.nested, tmp_path / "here.yaml", kubernetes_manifest=True)
    code = COMPILE.replace('.yaml")', '.yaml", kubernetes_manifest=True)')
    arguments = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path), "nested"]
    subprocess.run(arguments, check=True)
    assert (tmp_path / "nested.yaml").read_bytes() == here.read_bytes()


def test_the_document_is_what_kfp_writes(compiled: Callable[[str], Path]) -> None:
    from kfp.components import load_component_from_file

    assert load_component_from_file(str(compiled("search"))).pipeline_spec.pipeline_info.name == "search"
    assert yaml.safe_load(compiled("search").read_text())["sdkVersion"].startswith("kfp-2.")


def test_a_manifest_is_a_resource_with_the_same_pipeline(compiled: Callable[[str], Path], tmp_path: Path) -> None:
    from conformance import pipeline_samples

    path = compile_pipeline(pipeline_samples.files, tmp_path / "manifest.yml", kubernetes_manifest=True)
    manifest = yaml.safe_load(path.read_text())
    assert (manifest["kind"], manifest["apiVersion"]) == ("PipelineVersion", "pipelines.kubeflow.org/v2beta1")
    assert manifest["spec"]["pipelineSpec"] == yaml.safe_load(compiled("files").read_text())


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("old")

    class Broken:
        @property
        def pipeline_spec(self) -> object:
            raise OSError(28, "No space left on device")

    with pytest.raises(SpecError, match="is not a pipeline"):
        compile_pipeline(lambda: None, path)
    with pytest.raises(OSError, match="No space"):
        compile_pipeline(Broken(), path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("p.yaml", "old")]


def test_folders_are_created_and_an_old_file_is_replaced(tmp_path: Path) -> None:
    from conformance import pipeline_samples

    path = tmp_path / "a" / "b" / "p.yaml"
    assert compile_pipeline(pipeline_samples.files, path) == path
    before = path.read_bytes()
    path.write_text("old")
    compile_pipeline(pipeline_samples.files, path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["p.yaml"]


def test_a_wrong_path_is_named(tmp_path: Path) -> None:
    from conformance import pipeline_samples

    with pytest.raises(SpecError, match=r"'p\.json' must end with \.yaml"):
        compile_pipeline(pipeline_samples.files, "p.json")
    (tmp_path / "d.yaml").mkdir()
    with pytest.raises(SpecError, match="is a folder"):
        compile_pipeline(pipeline_samples.files, tmp_path / "d.yaml")
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="cannot be written"):
        compile_pipeline(pipeline_samples.files, tmp_path / "file" / "p.yaml")


def test_an_unknown_name_has_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        compile_pipeline("nocde", tmp_path / "p.yaml")
    assert caught.value.nearest == ("nocode",)
