"""What runs in a task's process, in a process of its own: it loads kfp as a container does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from omniforge.pipelines.local.ir import PythonComponent
from omniforge.pipelines.local.task import prepare, read_failure, read_outputs

COMPONENT = {
    "inputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}},
    "outputDefinitions": {"parameters": {"Output": {"parameterType": "NUMBER_INTEGER"}}},
}
SOURCE = """
import dataclasses, logging, sys
from kfp import dsl

@dataclasses.dataclass
class Point:
    x: int

def f(n: int) -> int:
    logging.getLogger("mine").info("got %d", n)
    if n < 0:
        from omniforge.errors import DataError
        raise DataError("n is negative.", hint="Make it positive.")
    assert "kfp.compiler" not in sys.modules
    return Point(n + 1).x
"""


def run(folder: Path, n: int) -> subprocess.CompletedProcess[str]:
    prepare(folder, COMPONENT, PythonComponent(SOURCE, "f"), {"n": n})
    payload = json.dumps({"folder": str(folder), "function": "f"})
    code = f"from omniforge.pipelines.local.child import main; import json; main(json.loads({payload!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_it_executes_the_component_and_writes_its_outputs(tmp_path: Path) -> None:
    done = run(tmp_path, 3)
    assert done.returncode == 0, done.stderr
    assert read_outputs(tmp_path, COMPONENT) == ({"Output": 4}, {})
    assert read_failure(tmp_path) is None
    assert "INFO mine: got 3" in done.stderr


def test_an_exception_is_recorded_and_raised(tmp_path: Path) -> None:
    done = run(tmp_path, -1)
    assert done.returncode == 1
    assert f'File "{tmp_path}/component.py"' in done.stderr
    assert read_failure(tmp_path) == {
        "type": "DataError", "message": "n is negative.", "hint": "Make it positive.", "exit_code": 2,
        "retryable": False,
    }  # fmt: skip


def test_source_that_does_not_load_is_recorded_too(tmp_path: Path) -> None:
    prepare(tmp_path, COMPONENT, PythonComponent("import surely_not_there\n", "f"), {"n": 1})
    payload = json.dumps({"folder": str(tmp_path), "function": "f"})
    code = f"from omniforge.pipelines.local.child import main; import json; main(json.loads({payload!r}))"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    record = read_failure(tmp_path)
    assert record is not None
    assert (record["type"], record["exit_code"]) == ("ModuleNotFoundError", 1)
