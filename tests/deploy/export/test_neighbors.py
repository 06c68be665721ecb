from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from omniforge.deploy import export_onnx
from omniforge.deploy.export.neighbors import tied_rows

Rows = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_classes_agree(p: int, weights: str, algorithm: str, two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    model = KNeighborsClassifier(7, p=p, weights=weights, algorithm=algorithm).fit(X[::2], y[::2])
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    assert exported.method == "direct"
    assert exported.agreement.max_abs < 1e-5
    assert exported.agreement.skipped == 0


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_values_agree(p: int, weights: str, values: Rows, tmp_path: Path) -> None:
    X, y = values
    model = KNeighborsRegressor(4, p=p, weights=weights).fit(X[::2], y[::2])
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="regression")
    assert exported.method == "direct"
    assert exported.agreement.max_relative is not None
    assert exported.agreement.max_relative < 1e-5


@pytest.mark.parametrize("p", [1, 2])
def test_rows_of_the_training_data_are_decided_by_their_equals(p: int, tmp_path: Path) -> None:
    X = np.array([[1e3, 1], [1e3, 1], [1e3, 2], [0, 0], [5, 5], [7, 7]], dtype=np.float32)
    y = np.array([0, 1, 1, 2, 2, 2])
    model = KNeighborsClassifier(3, p=p, weights="distance").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X[:1]), [[0.5, 0.5, 0.0]])
    assert export_onnx(model, X, tmp_path / "m.onnx", task="classification").agreement.max_abs < 1e-7


def test_tied_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(200, 3)).astype(np.float32)
    y = rng.integers(0, 2, size=200)
    model = KNeighborsClassifier(5).fit(X, y)
    tied = tied_rows(model, X)
    assert tied is not None
    assert tied.any()
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    assert exported.agreement.skipped == tied.sum()
    assert exported.agreement.rows == 200 - tied.sum()


def test_with_all_rows_as_neighbours_there_is_no_tie() -> None:
    X = np.zeros((3, 1), dtype=np.float32)
    assert tied_rows(KNeighborsClassifier(3).fit(X, [0, 1, 1]), X) is None


def test_another_metric_goes_to_the_general_converter(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    model = KNeighborsClassifier(3, metric="minkowski", p=3).fit(X[::2], y[::2])
    assert export_onnx(model, X, tmp_path / "m.onnx", task="classification").method == "skl2onnx"
