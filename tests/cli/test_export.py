"""``omniforge export``: the model that the job of ``conftest.py`` registered, and bare ONNX files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from torch import nn

from omniforge.deploy import export_onnx


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """An ONNX file of a small convolutional network, with rows and labels in ``rows.npz``."""
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(size=(60, 1, 8, 8)).astype(np.float32)
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3), nn.Softmax(dim=1)).eval()
    export_onnx(module, rows, tmp_path / "net.onnx", task="classification")
    with torch.no_grad():
        labels = module(torch.from_numpy(rows)).argmax(dim=1).numpy()
    np.savez(tmp_path / "rows.npz", x=rows, y=labels)
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("model", ["flowers", "flowers@champion", "flowers/1"])
def test_a_registered_model_by_each_of_its_names(
    model: str, job: Any, cli_of_job: Callable[..., Any], tmp_path: Path
) -> None:
    called = cli_of_job("export", model, "-o", tmp_path / "out" / "m.onnx", "--no-speed", "--json")
    assert called.code == 0, called.err
    report = json.loads(called.out)
    assert (report["model"], report["format"]) == ("flowers/1", "onnx")
    assert "test rows" in report["rows"]
    assert report["agreement"]["ok"] is True
    assert report["files"] == [str(tmp_path / "out" / "m.onnx")]
    beside = json.loads((tmp_path / "out" / "m.onnx.report.json").read_text())
    assert beside["agreement"] == report["agreement"]
    there = job.home / "models" / "flowers" / "1" / "model.onnx"
    (given,) = onnxruntime.InferenceSession(there).get_inputs()
    rows = np.random.default_rng(0).normal(size=(4, given.shape[1])).astype(np.float32)
    results = [
        onnxruntime.InferenceSession(path).run(None, {"features": rows})[0] for path in (there, report["files"][0])
    ]
    np.testing.assert_array_equal(*results)


def test_a_registered_model_judged_by_other_rows(job: Any, cli_of_job: Callable[..., Any], tmp_path: Path) -> None:
    called = cli_of_job("export", "flowers", "--data", job.data, "-o", tmp_path / "m.onnx", "--no-speed", "--json")
    assert called.code == 0, called.err
    assert json.loads(called.out)["rows"] == f"150: {job.data}"
    frame = pd.read_csv(job.data).replace({"setosa": "tulip"})
    frame.to_csv(tmp_path / "tulips.csv", index=False)
    called = cli_of_job("export", "flowers", "--data", tmp_path / "tulips.csv", "-o", tmp_path / "n.onnx")
    assert called.code == 2
    assert "tulip" in called.err


def test_the_report_is_a_readable_table(network: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("export", network, "--quantize", "int8", "--data", tmp_path / "rows.npz", "-o", tmp_path / "q.onnx")
    assert called.code == 0, called.err
    for text in (
        "Wrote",
        "Size:",
        "accuracy against labels on 30 rows: 1.0000",
        "int8 onnx",
        "p50 ms",
        "q.onnx.report.json",
    ):
        assert text in called.out
    assert "quantize to int8" in called.err


def test_without_data_the_report_says_that_the_rows_are_random(
    network: Path, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = cli("export", "net.onnx", "--no-speed")
    assert called.code == 0, called.err
    assert "random numbers" in called.out
    assert (tmp_path / "net-exported.onnx").is_file()  # and not over the model itself


def test_openvino(network: Path, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    called = cli("export", network, "--to", "openvino", "--quantize", "fp16", "--data", "rows.npz", "--json")
    assert called.code == 0, called.err
    report = json.loads(called.out)
    assert report["files"] == ["net-fp16.xml", "net-fp16.bin"]
    assert all((tmp_path / name).stat().st_size > 0 for name in report["files"])
    assert [timing["runtime"] for timing in report["speed"]] == ["onnxruntime", "openvino"]
    assert report["quantization"]["score_after"] > 0.9


def test_tensorrt_says_that_it_cannot_run_here(network: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    called = cli("export", network, "--to", "tensorrt", "-o", tmp_path / "m.engine", "--json")
    assert called.code == 0, called.err
    speed = json.loads(called.out)["speed"]
    assert speed[0]["metrics"]["latency_ms"] > 0
    assert speed[1]["metrics"] or "GPU" in speed[1]["note"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothere.onnx"], "nothere.onnx"),
        (["net.onnx", "--to", "onxx"], "openvino"),
        (["net.onnx", "--quantize", "int4"], "int8-dynamic"),
        (["net.onnx", "--target", "aarch64"], "aarch64"),
        (["net.onnx", "--to", "openvino", "-o", "m.onnx"], ".xml"),
        (["net.onnx", "-o", "net.onnx"], "model itself"),
        (["net.onnx", "--data", "nothere.npy"], "nothere.npy"),
        (["net.onnx", "--data", "wide.npy"], "[5, 1, 8, 9]"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: list[str], says: str, network: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(network.parent)
    np.save("wide.npy", np.zeros((5, 1, 8, 9), dtype=np.float32))
    before = {path.name for path in Path().iterdir()}
    called = cli("export", *arguments)
    assert called.code == 2, called.err
    assert says in called.err
    assert "Traceback" not in called.err
    assert {path.name for path in Path().iterdir()} - {"home"} == before


def test_an_unknown_model_is_named(cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("export", "flower")
    assert called.code == 2
    assert "'flowers'" in called.err


def test_a_tree_cannot_be_quantized(cli_of_job: Callable[..., Any], tmp_path: Path, three_trees: Path) -> None:
    called = cli_of_job("export", three_trees, "--quantize", "int8", "-o", tmp_path / "m.onnx")
    assert called.code == 1
    assert "TreeEnsemble" in called.err
    assert not (tmp_path / "m.onnx").exists()


@pytest.fixture
def three_trees(tmp_path: Path) -> Path:
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_iris(return_X_y=True)
    export_onnx(RandomForestClassifier(3).fit(x, y), x, tmp_path / "trees.onnx", task="classification")
    return tmp_path / "trees.onnx"
