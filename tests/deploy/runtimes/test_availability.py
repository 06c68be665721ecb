from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from omniforge.deploy import RUNTIMES
from omniforge.deploy.runtimes.availability import available


def test_every_runtime_is_answered_for() -> None:
    assert set(available()) == set(RUNTIMES)


def test_nothing_is_skipped_here_for_a_package_that_is_missing() -> None:
    """Tests of a runtime skip where it is not installed; in the environment of the lock all are."""
    assert [name for name, runtime in available().items() if not runtime.versions] == []
    assert importlib.util.find_spec("mlperf_loadgen") is not None


def test_what_is_installed_has_its_version() -> None:
    found = available()["onnxruntime"]
    assert found.usable
    assert found.versions["onnxruntime"][0].isdigit()


def test_a_compiler_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = available()["torch-compile"]
    assert not found.usable
    assert "'no-such-compiler'" in (found.lacks or "")


def test_it_imports_nothing_heavy_and_names_the_command_where_nothing_is_installed(tmp_path: Path) -> None:
    code = """
import sys
from importlib.machinery import PathFinder
from omniforge.deploy.runtimes.availability import available
heavy = {"torch", "onnx", "onnxruntime", "openvino", "tvm", "tensorrt_rtx", "tensorrt"}
found = available()
assert not heavy & set(sys.modules), heavy & set(sys.modules)
class Nothing(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in heavy else super().find_spec(name, path, target)
sys.meta_path[:] = [Nothing if finder is PathFinder else finder for finder in sys.meta_path]
for name, runtime in available().items():
    print(name, runtime.install, runtime.usable)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(RUNTIMES)
    assert all(" pip install " in line and line.endswith("False") for line in lines)
    assert "openvino pip install 'omniforge[openvino]' False" in lines
