from __future__ import annotations

import json
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from omniforge.deploy import export_onnx
from omniforge.deploy.export.deployable import make_deployable
from omniforge.deploy.export.formats import write_format
from omniforge.deploy.export.sources import ExportSource
from omniforge.errors import ExportError, SpecError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ExportSource:
    """A small trained convolutional network with its rows."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3)
    for step in range(60):
        at = np.arange(step * 64, step * 64 + 64) % 1200
        optimizer.zero_grad()
        functional.cross_entropy(module(torch.from_numpy(x[at])), torch.from_numpy(y[at])).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("source") / "digits.onnx"
    export_onnx(nn.Sequential(module, nn.Softmax(dim=1)), x, path, task="classification")
    return ExportSource("digits/1", path, x[1200:], y[1200:], "the test rows", calibration=x[:200])


def test_an_onnx_file_is_written_checked_and_timed(source: ExportSource, tmp_path: Path) -> None:
    said: list[str] = []
    report = make_deployable(source, tmp_path / "new" / "m.onnx", lock_dir=tmp_path / "locks", progress=said.append)
    assert report.files == (str(tmp_path / "new" / "m.onnx"),)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["m.onnx"]
    assert report.agreement is not None
    assert report.agreement.max_abs < 1e-5
    assert report.agreement.label_agreement == 1.0
    assert (report.model, report.format, report.quantization) == ("digits/1", "onnx", None)
    assert [(timing.model, timing.runtime) for timing in report.speed] == [
        ("float32 onnx", "onnxruntime"), ("float32 onnx", "onnxruntime")
    ]  # fmt: skip
    assert all(timing.metrics["latency_ms"] > 0 for timing in report.speed)
    assert report.bytes_after == Path(report.files[0]).stat().st_size
    assert said[0] == "check and simplify"
    assert said[-1] == "measure"
    json.dumps(report.to_dict())
    onnx.checker.check_model(onnx.load(report.files[0]), full_check=True)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
@pytest.mark.parametrize("scheme", ["int8", "fp16"])
def test_a_quantized_model_is_judged_on_its_own_runtime(
    to: str, scheme: Any, source: ExportSource, tmp_path: Path
) -> None:
    if to != "onnx":
        pytest.importorskip(to)
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[to]
    report = make_deployable(source, tmp_path / f"m{suffix}", to=to, scheme=scheme, speed=False)
    cost = report.quantization
    assert cost is not None
    assert cost.runtime == {"onnx": "onnxruntime", "openvino": "openvino"}[to]
    assert (cost.rows, cost.truth) == (597, "labels")
    assert cost.score_before > 0.8
    assert abs(cost.loss) <= 0.02
    assert (report.agreement, report.speed) == (None, ())


def test_what_loses_too_much_is_not_written(source: ExportSource, tmp_path: Path) -> None:
    wrong = replace(source, calibration=source.calibration * 0.01)  # type: ignore[operator]  # ranges far too narrow
    (tmp_path / "m.onnx").write_text("old")
    with pytest.raises(ExportError, match="loses"):
        make_deployable(wrong, tmp_path / "m.onnx", scheme="int8", speed=False)
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "old"


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_the_batch_can_be_fixed(to: str, source: ExportSource, tmp_path: Path) -> None:
    if to != "onnx":
        pytest.importorskip(to)
    path = tmp_path / {"onnx": "m.onnx", "openvino": "m.xml"}[to]
    report = make_deployable(source, path, to=to, batch=1, speed=False)
    assert report.agreement is not None
    assert report.agreement.ok
    if to == "onnx":
        dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims] == [1, 1, 8, 8]


def test_a_library_s_own_refusal_names_the_operator(three_classes: Any, tmp_path: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    pytest.importorskip("openvino")
    x, y = three_classes
    export_onnx(DecisionTreeClassifier().fit(x, y), x, tmp_path / "tree.onnx", task="classification")
    tree = ExportSource("tree", tmp_path / "tree.onnx", x, y, "iris")
    with pytest.raises(ExportError, match="TreeEnsemble"):
        make_deployable(tree, tmp_path / "tree.xml", to="openvino")
    assert [file.name for file in tmp_path.iterdir()] == ["tree.onnx"]


def test_values_are_judged_relatively(values: Any, tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge

    x, y = values
    export_onnx(Ridge().fit(x, y), x, tmp_path / "m.onnx", task="regression")
    source = ExportSource("ridge", tmp_path / "m.onnx", x, y, "diabetes")
    report = make_deployable(source, tmp_path / "out.onnx", speed=False)
    assert report.agreement is not None
    assert report.agreement.max_relative is not None


def test_a_wrong_name_is_refused_before_anything_is_done(source: ExportSource, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"\.xml"):
        make_deployable(source, tmp_path / "m.onnx", to="openvino")
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="file"):
        make_deployable(source, tmp_path / "file" / "m.onnx")


def test_several_numbers_are_judged_as_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    export_onnx(nn.Linear(6, 2), x, tmp_path / "m.onnx", task="regression")
    source = ExportSource("two", tmp_path / "m.onnx", x, None, "rows")
    report = make_deployable(source, tmp_path / "q.onnx", scheme="int8", speed=False, tolerance=0.1)
    assert report.quantization is not None
    assert report.quantization.metric == "r2"
    classes = replace(source, labels=np.arange(100) % 2)  # raw scores of two classes
    report = make_deployable(classes, tmp_path / "q.onnx", scheme="int8", speed=False, tolerance=0.1)
    assert report.quantization is not None
    assert report.quantization.metric == "accuracy"


@pytest.mark.fault
def test_a_full_disk_is_an_error_of_the_export(source: ExportSource, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(ExportError, match="cannot be written") as caught:
            make_deployable(source, tmp_path / "m.onnx", speed=False)
        with pytest.raises(ExportError, match="cannot be written"):
            write_format(source.path, tmp_path / "m.onnx", to="onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "some space" in str(caught.value.hint)


def test_what_is_quantized_is_refused_before_it_is_compared(source: ExportSource, tmp_path: Path) -> None:
    make_deployable(source, tmp_path / "q.onnx", scheme="int8-dynamic", speed=False, tolerance=1.0)
    with pytest.raises(ExportError, match="already quantized"):
        make_deployable(replace(source, path=tmp_path / "q.onnx"), tmp_path / "r.onnx", scheme="fp16", speed=False)
