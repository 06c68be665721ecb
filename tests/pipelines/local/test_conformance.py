"""The local runner and kfp's own, on the pipelines that both can run: the same outputs, files and metadata.

Left out since they differ on purpose: whole numbers in lists and mappings (kfp.local makes them floats, a cluster does
not), and what kfp.local cannot run at all (loops over one of several outputs, OneOf of artifacts, artifacts into nested
pipelines or out of nested loops, quotes in f-strings).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance.pipeline_samples import COMPARED

from omniforge.launch import Launcher
from omniforge.pipelines.local import RunResult, run_local

Compiled = Callable[[str], Path]
Trace = dict[str, list[str]]

# In a process of its own: it sets kfp's global state, and kfp.local prints.
KFP_LOCAL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conformance import pipeline_samples
from kfp import local
from omniforge.pipelines.local import Artifact

found = {}
for name, arguments in pipeline_samples.COMPARED.items():
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=f"{sys.argv[2]}/{name}")
    found[name] = getattr(pipeline_samples, name)(**arguments).outputs
with open(f"{sys.argv[2]}/outputs.json", "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module")
def by_kfp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all on kfp.local.SubprocessRunner; return the folder with a subfolder each and ``outputs.json``."""
    folder = tmp_path_factory.mktemp("kfp")
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KFP_LOCAL, str(tests), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", COMPARED)
def test_both_runners_agree(name: str, by_kfp: Path, compiled: Compiled, launcher: Launcher, tmp_path: Path) -> None:
    ours = run_local(compiled(name), COMPARED[name], workspace=tmp_path, launcher=launcher)
    assert ours.outputs == json.loads((by_kfp / "outputs.json").read_text())[name]
    trace = trace_of_theirs(by_kfp / name)
    assert trace
    assert trace_of_ours(ours) == trace


def trace_of_ours(result: RunResult) -> Trace:
    found: Trace = {}
    for task in result.tasks.values():
        found.setdefault(function_of(task.component), []).append(written_in(task.folder))
    return {component: sorted(written) for component, written in found.items()}


def trace_of_theirs(root: Path) -> Trace:
    found: Trace = {}
    for path in root.rglob("executor_output.json"):
        found.setdefault(function_of(path.parent.name), []).append(written_in(path.parent))
    return {component: sorted(written) for component, written in found.items()}


def function_of(component: str) -> str:
    """Return a component's name without the numbers, which kfp gives to nested ones in no fixed order."""
    return re.sub(r"(-\d+)+$", "", component)


def written_in(folder: Path) -> str:
    """Return what a component was given back: its parameters, and each artifact's metadata and content."""
    document = json.loads((folder / "executor_output.json").read_text())
    given: dict[str, Any] = {"parameters": document.get("parameterValues", {})}
    for name, listed in document.get("artifacts", {}).items():
        [artifact] = listed["artifacts"]
        given[name] = [artifact["name"], artifact["metadata"], content(Path(artifact["uri"]))]
    for name in ("word", "number"):  # dsl.OutputPath
        if (folder / name).exists():
            given[name] = (folder / name).read_text()
    return json.dumps(given, sort_keys=True)


def content(path: Path) -> dict[str, str]:
    if path.is_dir():
        return {str(one.relative_to(path)): one.read_text() for one in sorted(path.rglob("*")) if one.is_file()}
    return {"": path.read_text()} if path.exists() else {}


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("dynamic_loop", {"count": 4}, 14),
        ("joined", {}, 'quoted "a"+<quoted "a">'),
        ("optional", {}, "tNoneNone"),
        ("optional", {"maybe": "m", "number": 3}, "tm3"),
        ("chosen_file", {"left": False}, "other"),
        ("loop_in_loop", {}, "a11,a22,b11,b22/n"),
        ("nested_files", {}, "INininNone"),
    ],
)
def test_what_only_ours_can_run(
    name: str, arguments: dict[str, Any], expected: Any, compiled: Compiled, launcher: Launcher, tmp_path: Path
) -> None:
    result = run_local(compiled(name), arguments, workspace=tmp_path, launcher=launcher)
    assert result.outputs == {"Output": expected}


def test_whole_numbers_stay_ints_inside_lists_and_mappings(
    compiled: Compiled, launcher: Launcher, tmp_path: Path
) -> None:
    result = run_local(compiled("integers"), {}, workspace=tmp_path, launcher=launcher)
    assert result.outputs["Output"] == '["t", 1, 2.0, false, [1, 2.5, {"n": 3}], {"n": [4]}, [], null]'


def test_kfps_placeholders_name_the_run_and_the_task(compiled: Compiled, launcher: Launcher, tmp_path: Path) -> None:
    result = run_local(compiled("named"), {}, workspace=tmp_path, launcher=launcher)
    assert result.outputs["Output"] == f"{result.folder.name} say"
