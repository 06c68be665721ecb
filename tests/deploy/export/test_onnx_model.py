from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from omniforge.deploy import export_onnx
from omniforge.deploy.export.onnx_model import write_atomically
from omniforge.deploy.runtimes import TensorSpec
from omniforge.errors import ExportError, SpecError

Rows = tuple[np.ndarray, np.ndarray]


def test_the_file_keeps_the_contract(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    exported = export_onnx(LogisticRegression(max_iter=500).fit(X, y), X, tmp_path / "m.onnx", task="classification")
    session = onnxruntime.InferenceSession(exported.path)
    assert [(v.name, v.type, v.shape) for v in session.get_inputs()] == [("features", "tensor(float)", ["batch", 4])]
    assert [(v.name, v.type, v.shape) for v in session.get_outputs()] == [
        ("probabilities", "tensor(float)", ["batch", 3])
    ]
    assert exported.bytes == exported.path.stat().st_size
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


@pytest.mark.parametrize("data", ["two_classes", "three_classes"])
def test_a_forest_s_file_is_valid(data: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    X, y = request.getfixturevalue(data)
    exported = export_onnx(DecisionTreeClassifier().fit(X, y), X, tmp_path / "m.onnx", task="classification")
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


def test_regression_has_one_column(values: Rows, tmp_path: Path) -> None:
    X, y = values
    exported = export_onnx(Ridge().fit(X, y), X, tmp_path / "m.onnx", task="regression")
    session = onnxruntime.InferenceSession(exported.path)
    assert [(v.name, v.shape) for v in session.get_outputs()] == [("prediction", ["batch", 1])]
    assert session.run(None, {"features": X[:1]})[0].shape == (1, 1)


def test_classes_that_training_missed_get_probability_zero(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    seen = y != 1
    model = LogisticRegression(max_iter=500).fit(X[seen], y[seen])
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="classification", classes=4)
    got = onnxruntime.InferenceSession(exported.path).run(None, {"features": X})[0]
    assert got.shape == (150, 4)
    assert not got[:, [1, 3]].any()
    np.testing.assert_allclose(got[:, [0, 2]], model.predict_proba(X), atol=1e-6)


def test_without_the_number_of_classes_gaps_are_refused(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    model = DecisionTreeClassifier().fit(X[y != 1], y[y != 1])
    with pytest.raises(ExportError, match=r"\[0, 2\]"):
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")


def test_text_labels_stay_in_the_model_s_order(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    model = DecisionTreeClassifier(max_depth=3).fit(X, np.array(["c", "a", "b"])[y])
    assert export_onnx(model, X, tmp_path / "m.onnx", task="classification").columns == 3


def test_the_caller_may_know_the_predictions(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    model = DecisionTreeClassifier().fit(X, y)
    expected = model.predict_proba(X)
    assert export_onnx(model, X, tmp_path / "a.onnx", task="classification", expected=expected).agreement.ok
    with pytest.raises(ExportError, match="disagrees"):
        export_onnx(model, X, tmp_path / "b.onnx", task="classification", expected=expected[:, ::-1])
    assert not (tmp_path / "b.onnx").exists()


class Pooling(torch.nn.Module):
    """Probabilities of two classes from rows of any rank."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x.float().flatten(1)[:, :2], dim=1)


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).normal(size=(70, 3, 4, 5)),
        np.random.default_rng(0).normal(size=(70, 3, 4)).astype(np.float16),
        np.random.default_rng(0).integers(0, 9, size=(70, 6)),
        np.random.default_rng(0).integers(0, 9, size=(70, 3, 2)).astype(np.int32),
        np.random.default_rng(0).integers(0, 255, size=(70, 3, 4, 5)).astype(np.uint8),
    ],
    ids=lambda rows: f"{rows.dtype}{rows.shape[1:]}",
)
@pytest.mark.parametrize("batch", [None, 1, 8])
def test_rows_of_any_rank_and_of_whole_numbers(rows: np.ndarray, batch: int | None, tmp_path: Path) -> None:
    exported = export_onnx(Pooling(), rows, tmp_path / "m.onnx", task="classification", batch=batch)
    kind = "float32" if rows.dtype.kind == "f" else str(rows.dtype)
    assert exported.input == TensorSpec(rows.shape[1:], kind, batch)
    assert (exported.method, exported.agreement.rows) == ("direct", 70)
    (given,) = onnxruntime.InferenceSession(exported.path).get_inputs()
    assert given.shape == [batch or "batch", *rows.shape[1:]]
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=500), DecisionTreeClassifier()], ids=["linear", "tree"])
def test_the_batch_of_a_classical_model_can_be_fixed(model: Any, three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    exported = export_onnx(model.fit(X, y), X, tmp_path / "m.onnx", task="classification", batch=1)
    (given,) = onnxruntime.InferenceSession(exported.path).get_inputs()
    assert given.shape == [1, 4]
    assert exported.agreement.rows == 150


def test_a_batch_has_a_row(three_classes: Rows, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="batch = 0"):
        export_onnx(Ridge(), three_classes[0], tmp_path / "m.onnx", task="regression", batch=0)


def test_a_general_converter_s_model_can_be_simplified(three_classes: Rows, tmp_path: Path) -> None:
    class Unusual(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(torch.cumsum(x, dim=1), dim=1)

    exported = export_onnx(Unusual(), three_classes[0], tmp_path / "m.onnx", task="classification", simplify=True)
    assert exported.method == "torch.onnx"
    assert exported.agreement.ok


@pytest.mark.parametrize("example", [np.zeros((1, 4)), np.zeros(4), np.zeros((2, 2, 2))])
def test_an_example_needs_two_rows(example: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="at least 2 rows"):
        export_onnx(Ridge(), example, tmp_path / "m.onnx", task="regression")


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'ranking'"):
        export_onnx(Ridge(), np.zeros((2, 4)), tmp_path / "m.onnx", task="ranking")  # type: ignore[arg-type]


def test_a_failed_export_leaves_an_earlier_file_alone(three_classes: Rows, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"earlier")
    with pytest.raises(ExportError):
        export_onnx(object(), three_classes[0], path, task="classification")
    assert path.read_bytes() == b"earlier"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="none"):
        write_atomically(tmp_path / "none" / "m.onnx", b"x")


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let writes beyond ``size`` bytes fail, as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.fault
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"earlier")
    with files_limited_to(1000), pytest.raises(ExportError, match=r"m\.onnx") as caught:
        write_atomically(path, os.urandom(100_000))
    assert "MiB" in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
    assert path.read_bytes() == b"earlier"


def test_a_full_disk_and_a_missing_folder_have_their_own_hints(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        write_atomically(tmp_path / "none" / "m.onnx", b"x")
    assert caught.value.hint == "Make the folder first, or choose another one."


def test_the_model_is_asked_with_the_rows_as_they_are_given(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(20_000_000, 20_000_020, (100, 1))  # float32 holds every second one
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(ids, ids[:, 0] % 3)
    for rows in (ids, ids.astype(np.float64)):
        with pytest.raises(ExportError, match="disagrees") as caught:
            export_onnx(model, rows, tmp_path / "m.onnx", task="classification")
        assert "float32" in str(caught.value.hint)


def test_a_model_of_several_targets_is_refused(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    model = MultiOutputClassifier(DecisionTreeClassifier()).fit(X, np.stack([y, 2 - y, y == 1], axis=1))
    with pytest.raises(ExportError, match="3 targets"):
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")


def test_expected_has_a_prediction_for_each_row(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    with pytest.raises(SpecError, match="for 150 rows"):
        export_onnx(Ridge().fit(X, y), X, tmp_path / "m.onnx", task="regression", expected=np.zeros(3))


def test_rows_of_text_are_refused(three_classes: Rows, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no numbers"):
        export_onnx(Ridge().fit(*three_classes), np.array([["a"] * 4] * 2), tmp_path / "m.onnx", task="regression")


def test_a_row_that_makes_the_source_predict_nan_is_named(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    rows[7, 2] = np.nan
    with pytest.raises(ExportError, match="NaN or infinity in row 7 of the example, which itself"):
        export_onnx(Pooling(), rows[:, [2, 0]], tmp_path / "m.onnx", task="classification")


def test_a_branch_on_the_batch_s_size_is_found(tmp_path: Path) -> None:
    class Branching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x * 2 if x.shape[0] > 100 else x, dim=1)

    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    with pytest.raises(ExportError, match="in a batch of 257 rows"):
        export_onnx(Branching(), rows, tmp_path / "m.onnx", task="classification")


def test_a_single_sigmoid_is_told_how_to_become_two_columns(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    with pytest.raises(ExportError) as caught:
        export_onnx(model, np.zeros((2, 4)), tmp_path / "m.onnx", task="classification")
    assert "1 - p" in str(caught.value.hint)
