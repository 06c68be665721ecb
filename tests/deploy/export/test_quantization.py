"""Quantization of trained networks, with what it costs measured on rows that training did not see."""

from __future__ import annotations

import json
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
from omniforge.deploy.export.quantization import QuantizationReport, quantize
from omniforge.deploy.export.sources import size_of
from omniforge.errors import ExportError, SpecError


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8), y[order].astype(np.int64)


def train(module: nn.Module, x: np.ndarray, y: np.ndarray, *, loss: Any, steps: int = 120) -> nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3)
    for step in range(steps):
        at = np.arange(step * 64, step * 64 + 64) % len(x)
        optimizer.zero_grad()
        loss(module(torch.from_numpy(x[at])), torch.from_numpy(y[at])).backward()
        optimizer.step()
    return module.eval()


def exported(module: nn.Module, x: np.ndarray, path: Path, *, task: Any = "classification") -> Path:
    last = [nn.Softmax(dim=1)] if task == "classification" else []
    export_onnx(nn.Sequential(module, *last), x, path, task=task)
    return path


@pytest.fixture(scope="module")
def convolutional(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    x, y = digits
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    train(module, x[:1200], y[:1200], loss=functional.cross_entropy)
    return exported(module, x, tmp_path_factory.mktemp("cnn") / "cnn.onnx")


@pytest.fixture(scope="module")
def perceptron(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    x, y = digits
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.LayerNorm(128), nn.GELU(), nn.Linear(128, 10))
    train(module, x[:1200], y[:1200], loss=functional.cross_entropy)
    return exported(module, x, tmp_path_factory.mktemp("mlp") / "mlp.onnx")


@pytest.mark.parametrize(("scheme", "share"), [("fp16", 0.65), ("int8", 0.75)])
def test_a_trained_convolutional_network_keeps_its_accuracy(
    scheme: Any, share: float, convolutional: Path, digits: Any, tmp_path: Path
) -> None:
    x, y = digits
    report = quantize(
        convolutional, tmp_path / "q.onnx", scheme=scheme, rows=x[1200:], labels=y[1200:], calibration=x[:128],
        task="classification",
    )  # fmt: skip
    assert report.score_before > 0.9
    assert abs(report.loss) <= 0.02
    assert (report.rows, report.truth, report.metric) == (597, "labels", "accuracy")
    assert report.label_agreement is not None
    assert report.label_agreement > 0.97
    assert 0 < report.max_abs < 0.5
    assert report.bytes_after == (tmp_path / "q.onnx").stat().st_size < share * report.bytes_before
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"), full_check=True)
    graph = onnx.load(tmp_path / "q.onnx").graph
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {1}  # float32 ends
    assert json.loads(json.dumps(report.to_dict()))["scheme"] == scheme


def test_convolutions_are_quantized_statically_and_left_alone_dynamically(
    convolutional: Path, digits: Any, tmp_path: Path
) -> None:
    x, _ = digits
    settings: dict[str, Any] = {"rows": x[1200:1400], "task": "classification"}
    quantize(convolutional, tmp_path / "static.onnx", scheme="int8", **settings)
    report = quantize(convolutional, tmp_path / "dynamic.onnx", scheme="int8-dynamic", **settings)
    operators = [node.op_type for node in onnx.load(tmp_path / "static.onnx").graph.node]
    assert operators.count("QuantizeLinear") >= 3
    assert "Conv" in [node.op_type for node in onnx.load(tmp_path / "dynamic.onnx").graph.node]
    assert any("2 convolutions" in note and "static" in note for note in report.notes)
    assert report.calibration_rows == 0
    assert report.truth == "the float32 model"


def test_matrix_products_are_a_quarter_in_8_bits(perceptron: Path, digits: Any, tmp_path: Path) -> None:
    x, y = digits
    report = quantize(
        perceptron, tmp_path / "q.onnx", scheme="int8-dynamic", rows=x[1200:], labels=y[1200:], task="classification"
    )
    assert report.bytes_after < 0.5 * report.bytes_before
    assert abs(report.loss) < 0.01


def test_half_precision_keeps_float32_where_sums_are_taken(perceptron: Path, digits: Any, tmp_path: Path) -> None:
    report = quantize(perceptron, tmp_path / "q.onnx", scheme="fp16", rows=digits[0][:50], task="classification")
    assert "LayerNormalization" in report.notes[0]
    model = onnx.load(tmp_path / "q.onnx")
    kinds = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) > 1000}
    assert kinds == {10}  # float16


def test_without_calibration_rows_half_of_the_rows_calibrate(convolutional: Path, digits: Any, tmp_path: Path) -> None:
    report = quantize(convolutional, tmp_path / "q.onnx", scheme="int8", rows=digits[0][:101], task="classification")
    assert (report.calibration_rows, report.rows) == (50, 51)


def test_an_untrained_encoder_loses_too_much_and_is_not_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    module = nn.Sequential(nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Flatten(), nn.Linear(256, 1))
    rows = np.random.default_rng(0).normal(size=(128, 8, 32)).astype(np.float32) * 3
    path = exported(module.eval(), rows, tmp_path / "m.onnx", task="regression")
    with pytest.raises(ExportError, match=r"int8.*loses .* of r2 against the float32 model") as caught:
        quantize(path, tmp_path / "q.onnx", scheme="int8", rows=rows, task="regression", tolerance=1e-4)
    assert "tolerance 0.0001" in caught.value.message
    assert not (tmp_path / "q.onnx").exists()
    report = quantize(path, tmp_path / "q.onnx", scheme="int8", rows=rows, task="regression", tolerance=1.0)
    assert report.max_relative is not None
    assert report.max_relative > 1e-3


def test_a_regression_is_judged_by_the_variance_that_is_left(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    y = (x[:, :1] * 2 - x[:, 1:2]).astype(np.float32)
    module = train(nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1)), x, y, loss=functional.mse_loss)
    path = exported(module, x, tmp_path / "m.onnx", task="regression")
    report = quantize(path, tmp_path / "q.onnx", scheme="int8", rows=x[200:], labels=y[200:, 0], task="regression")
    assert report.metric == "r2"
    assert report.score_before > 0.9
    assert report.label_agreement is None


def test_a_model_that_reads_tokens_is_quantized(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokens = np.random.default_rng(0).integers(0, 20, size=(60, 5))
    module = nn.Sequential(nn.Embedding(20, 16), nn.Flatten(), nn.Linear(80, 3)).eval()
    path = exported(module, tokens, tmp_path / "m.onnx")
    for scheme in ("fp16", "int8", "int8-dynamic"):
        report = quantize(path, tmp_path / "q.onnx", scheme=scheme, rows=tokens, task="classification", tolerance=1.0)  # type: ignore[arg-type]
        assert report.bytes_after > 0


def test_trees_are_refused_by_their_operator(three_classes: Any, tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    x, y = three_classes
    export_onnx(RandomForestClassifier(3).fit(x, y), x, tmp_path / "m.onnx", task="classification")
    for scheme in ("fp16", "int8"):
        with pytest.raises(ExportError, match=r"TreeEnsemble") as caught:
            quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", scheme=scheme, rows=x, task="classification")  # type: ignore[arg-type]
        assert scheme in caught.value.message
    assert not (tmp_path / "q.onnx").exists()


def test_where_there_is_nothing_to_quantize_the_operators_are_named(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    export_onnx(nn.Softmax(dim=1), rows, tmp_path / "m.onnx", task="classification")
    with pytest.raises(ExportError, match="Softmax"):
        quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", scheme="int8", rows=rows, task="classification")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "int4"}, "'int4'"),
        ({"labels": np.zeros(3)}, "3 values for 20 rows"),
        ({"tolerance": -0.1}, "tolerance = -0.1"),
        ({"rows": np.zeros((1, 4), dtype=np.float32)}, "fewer than 2 rows"),
        ({"rows": np.zeros((0, 4), dtype=np.float32), "scheme": "fp16"}, "empty"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    usual: dict[str, Any] = {"scheme": "int8", "rows": np.zeros((20, 4), dtype=np.float32), "task": "classification"}
    with pytest.raises(SpecError, match=message):
        quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", **{**usual, **settings})


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\x00nothing", "not an ONNX model")])
def test_what_is_no_model_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=message):
        quantize(path, tmp_path / "q.onnx", scheme="fp16", rows=np.zeros((2, 4)), task="classification")


def test_the_price_on_another_runtime_is_its_own() -> None:
    report = QuantizationReport(
        scheme="int8", rows=2, calibration_rows=0, truth="labels", metric="accuracy", score_before=1.0, score_after=1.0,
        loss=0.0, label_agreement=1.0, max_abs=0.0, max_relative=None, bytes_before=2, bytes_after=1,
    )  # fmt: skip
    before = np.array([[0.9, 0.1], [0.2, 0.8]])
    other = report.on_runtime("openvino", before, before[::-1], labels=np.array([0, 1]))
    assert (other.runtime, other.loss, other.label_agreement) == ("openvino", 1.0, 0.0)
    with pytest.raises(ExportError, match="openvino"):
        other.check(0.5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: y + 1, "labels holds 10; expected one class index of 0 to 9"),
        (lambda y: y * np.nan, "NaN in row"),
        (lambda y: y.astype(str), "expected numbers"),
        (lambda y: np.stack([y, y], axis=1), "has the shape"),
    ],
    ids=["from-one", "missing", "text", "two-columns"],
)
def test_labels_that_are_no_class_indices_are_refused(
    labels: Any, message: str, perceptron: Path, digits: Any, tmp_path: Path
) -> None:
    x, y = digits
    with pytest.raises(SpecError, match=message):
        quantize(
            perceptron, tmp_path / "q.onnx", scheme="int8", rows=x[:100], labels=labels(y[:100].astype(float)),
            task="classification",
        )  # fmt: skip


def test_what_is_quantized_is_not_quantized_again(perceptron: Path, digits: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rows": digits[0][:20], "task": "classification", "tolerance": 1.0}
    for first in ("fp16", "int8", "int8-dynamic"):
        report = quantize(perceptron, tmp_path / "q.onnx", scheme=first, **settings)  # type: ignore[arg-type]
        assert any("batch" in note for note in report.notes) == (first == "int8-dynamic")
        for scheme in ("fp16", "int8"):
            with pytest.raises(ExportError, match="already quantized"):
                quantize(tmp_path / "q.onnx", tmp_path / "r.onnx", scheme=scheme, **settings)  # type: ignore[arg-type]


def test_half_precision_needs_weights(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    export_onnx(nn.Softmax(dim=1), rows, tmp_path / "m.onnx", task="classification")
    with pytest.raises(ExportError, match="no float32 weights"):
        quantize(tmp_path / "m.onnx", tmp_path / "q.onnx", scheme="fp16", rows=rows, task="classification")


def test_weights_in_a_file_of_their_own_are_read(perceptron: Path, digits: Any, tmp_path: Path) -> None:
    onnx.save_model(
        onnx.load(perceptron), tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    report = quantize(
        tmp_path / "m.onnx", tmp_path / "q.onnx", scheme="fp16", rows=digits[0][:20], task="classification"
    )
    assert report.bytes_before > 30_000
    assert size_of(tmp_path / "m.onnx") > (tmp_path / "weights.bin").stat().st_size > 30_000


def test_a_loss_that_equals_the_tolerance_is_within_it() -> None:
    report = QuantizationReport(
        scheme="int8", rows=50, calibration_rows=0, truth="labels", metric="accuracy", score_before=0.96,
        score_after=0.94, loss=0.96 - 0.94, label_agreement=1.0, max_abs=0.0, max_relative=None, bytes_before=2,
        bytes_after=1,
    )  # fmt: skip
    assert report.loss > 0.02
    report.check(0.02)
    with pytest.raises(ExportError):
        report.check(0.019)


def test_the_column_that_loses_most_is_the_score() -> None:
    truth = np.random.default_rng(0).normal(size=(100, 2)) * [1e4, 1.0]
    worse = truth + np.array([0.0, 1.0])
    report = QuantizationReport(
        scheme="int8", rows=100, calibration_rows=0, truth="labels", metric="r2", score_before=1.0, score_after=1.0,
        loss=0.0, label_agreement=None, max_abs=0.0, max_relative=0.0, bytes_before=2, bytes_after=1,
    )  # fmt: skip
    assert report.on_runtime("openvino", truth, worse, labels=truth).loss > 0.5
