"""``omniforge bench``, on a file and on the model that the job of ``conftest.py`` registered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

QUICK = ("--seconds", 0.05, "--runtime", "onnxruntime")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear_model())
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(20, 3)))
    return path


def test_a_file_is_measured_and_shown(cli: Callable[..., Any], model: Path, home: Path) -> None:
    called = cli("bench", model, "--data", model.with_name("rows.npy"), *QUICK)
    assert called.code == 0, called.err
    assert "rows.npy" in called.out
    assert "onnxruntime" in called.out
    assert "Energy: none" in called.out
    assert any(path.name.startswith("reference-local") for path in (home / "locks").iterdir())


def test_json_has_everything(cli: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    called = cli("bench", model, *QUICK, "--batch", 8, "--threads", 2, "--json", "--plot", tmp_path / "p.html")
    assert called.code == 0, called.err
    found = json.loads(called.out)
    assert found["rows"] == {"source": found["rows"]["source"], "count": 64, "shape": [3]}
    assert "random" in found["rows"]["source"]
    [entry] = found["runtimes"]
    assert entry["metrics"]["latency_ms"] > 0
    assert entry["relative"][0] == 1.0
    assert (entry["report"]["batch"], entry["report"]["threads"]) == (8, 2)
    assert "own" in entry["report"]["memory_source"]
    assert (tmp_path / "p.html").stat().st_size > 10_000


def test_runtimes_are_compared_by_turns_and_refusals_explained(cli: Callable[..., Any], model: Path) -> None:
    pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")
    called = cli("bench", model, *QUICK, "-r", "openvino", "-r", "tensorrt", "--json")
    assert called.code == 0, called.err
    base, other, refusing = json.loads(called.out)["runtimes"]
    assert base["by_turns"]
    assert other["by_turns"]
    assert base["relative"] == [1.0, 1.0, 1.0]
    assert other["relative"][1] <= other["relative"][0] <= other["relative"][2]
    assert refusing["refused"]
    assert not refusing["metrics"]


def test_a_runtime_that_is_not_installed_says_how_to_get_it(model: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "openvino.py").write_text("raise ImportError('not here')")
    code = "from omniforge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", str(model), "--seconds", "0.05", "-r", "openvino"],
        env={"PYTHONPATH": str(tmp_path / "hidden"), "OMNIFORGE_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "openvino: " in done.stdout
    assert "pip install" in done.stdout


def test_a_scenario_is_run_by_loadgen(cli: Callable[..., Any], model: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="the extra 'loadgen' is not installed")
    called = cli("bench", model, "--scenario", "single-stream", *QUICK, "--json")
    assert called.code == 0, called.err
    [entry] = json.loads(called.out)["runtimes"]
    assert entry["scenario"]["scenario"] == "single-stream"
    assert entry["scenario"]["qps"] > 10
    shown = cli("bench", model, "--scenario", "server", "--qps", 500, "--bound-ms", 100, *QUICK)
    assert shown.code == 0
    assert "valid" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--runtime", "abacus"), "abacus"),
        (("--device", "toaster"), "toaster"),
        (("--scenario", "multi-stream"), "single-stream"),
        (("--plot", "x.pdf"), ".html"),
        (("--plot", "x.html", "--scenario", "offline"), "--plot"),
        (("--data", "none.npy"), "none.npy"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(
    cli: Callable[..., Any], model: Path, arguments: tuple[str, ...], said: str
) -> None:
    called = cli("bench", model, *arguments)
    assert called.code == 2
    assert said in called.err


def test_rows_that_do_not_fit_are_an_error(cli: Callable[..., Any], model: Path) -> None:
    np.save(model.with_name("wide.npy"), np.zeros((4, 9)))
    called = cli("bench", model, "--data", model.with_name("wide.npy"), *QUICK)
    assert called.code == 2
    assert "do not fit" in called.err


def test_nan_is_blamed_on_random_rows_or_on_the_rows_themselves(cli: Callable[..., Any], model: Path) -> None:
    model.write_bytes(linear_model(np.full_like(WEIGHTS, np.nan)))
    shown = cli("bench", model, *QUICK)
    assert shown.code == 1
    assert "random numbers" in " ".join(shown.out.split())
    assert "diverged" not in shown.out
    model.write_bytes(linear_model())
    np.save(model.with_name("gaps.npy"), np.full((4, 3), np.nan, dtype=np.float32))
    shown = cli("bench", model, *QUICK, "--data", model.with_name("gaps.npy"))
    assert "The rows hold NaN" in " ".join(shown.out.split())


def test_a_broken_model_is_an_error(cli: Callable[..., Any], model: Path) -> None:
    model.write_bytes(b"no model")
    called = cli("bench", model, *QUICK)
    assert called.code == 1
    assert "linear.onnx" in called.err


def test_a_device_measures_through_its_agent(cli: Callable[..., Any], model: Path, home: Path, tmp_path: Path) -> None:
    from omniforge.deploy.devices import Device, add_device
    from omniforge.sidecar.device import DeviceAgent

    token = "a-token-for-tests-only"
    with DeviceAgent("pi", tmp_path / "agent", token=token) as agent:
        add_device(home, Device("kitchen-pi", url=agent.url, token=token))
        called = cli("bench", model, *QUICK, "--runtime", "tensorrt", "--device", "kitchen-pi", "--json")
        refused = cli("bench", model, *QUICK, "--device", "kitchen-pi", "--scenario", "offline")
    assert called.code == 0, called.err
    found = json.loads(called.out)
    assert found["device"] == "kitchen-pi"
    measured, refusing = found["runtimes"]
    assert measured["metrics"]["latency_ms"] > 0
    assert measured["relative"][0] == 1.0
    assert refusing["refused"]
    assert refused.code == 2
    assert "kitchen-pi" in refused.err


def test_a_registered_model_with_its_examples(job: Any, cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("bench", "flowers", *QUICK, "--json")
    assert called.code == 0, called.err
    found = json.loads(called.out)
    assert found["model"] == "flowers/1"
    assert found["rows"]["source"] == "the model's examples"
    given = cli_of_job("bench", "flowers", *QUICK, "--data", job.data)
    assert given.code == 0, given.err
    assert "iris.csv" in given.out
