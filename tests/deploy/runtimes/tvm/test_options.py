from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omniforge.deploy.runtimes.tvm.options import TvmOptions
from omniforge.errors import SpecError


def test_settings_are_read_as_text_and_as_values() -> None:
    read = TvmOptions.read({"tuning_s": "60", "tuning_trials": "8", "cache": "folder", "seed": 3, "batch": 4})
    assert read == TvmOptions(tuning_s=60.0, tuning_trials=8, cache=Path("folder"), seed=3, batch=4)
    assert TvmOptions.read({}) == TvmOptions.read({"cache": None}) == TvmOptions()
    assert TvmOptions(tuning_threads=3).search_threads() == 3
    assert TvmOptions().search_threads() >= 1


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"tuning": 5}, "no setting 'tuning'"),
        ({"tuning_s": -1}, "tuning_s = -1"),
        ({"tuning_s": "soon"}, "tuning_s = 'soon': expected a number"),
        ({"tuning_s": float("inf")}, "tuning_s = inf"),
        ({"tuning_trials": 0}, "tuning_trials = 0"),
        ({"tuning_trials": 1.5}, "tuning_trials = 1.5: expected a whole number"),
        ({"batch": 0}, "batch = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"cache": 5}, "cache = 5: expected a folder"),
        ({"target": 5}, "target = 5"),
        ({"allow_remote_rpc": "yes"}, "allow_remote_rpc = 'yes'"),
    ],
)
def test_what_is_wrong_is_named(extra: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        TvmOptions.read(extra)


def test_settings_are_read_without_tvm() -> None:
    code = (
        "import sys, omniforge.deploy.runtimes.tvm.options, omniforge.deploy;"
        "print([m for m in ('tvm', 'torch', 'onnx') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
