from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble, tree

from omniforge.deploy import export_onnx
from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.forests import add_averaging_forest, add_histogram_boosting
from omniforge.deploy.export.graph import Graph

CLASSIFIERS: list[Any] = [
    ensemble.RandomForestClassifier(15, random_state=0),
    ensemble.RandomForestClassifier(15, min_samples_leaf=5, class_weight="balanced", random_state=0),
    ensemble.ExtraTreesClassifier(15, max_depth=4, random_state=0),
    tree.DecisionTreeClassifier(random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=0),
]
REGRESSORS: list[Any] = [
    ensemble.RandomForestRegressor(15, random_state=0),
    ensemble.ExtraTreesRegressor(15, criterion="absolute_error", max_depth=4, random_state=0),
    tree.DecisionTreeRegressor(max_depth=3),
    ensemble.HistGradientBoostingRegressor(max_iter=15),
    ensemble.HistGradientBoostingRegressor(max_iter=15, loss="absolute_error"),
    ensemble.HistGradientBoostingRegressor(max_iter=15, loss="quantile", quantile=0.8),
    ensemble.HistGradientBoostingRegressor(max_iter=15, loss="poisson"),
    ensemble.HistGradientBoostingRegressor(max_iter=15, loss="gamma"),
]


def with_gaps(X: np.ndarray) -> np.ndarray:
    gaps = np.random.default_rng(0).random(X.shape) < 0.1
    return np.where(gaps, np.float32(np.nan), X)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("data", ["two_classes", "three_classes"])
@pytest.mark.parametrize("missing", [False, True], ids=["full", "missing"])
def test_classifiers_agree_exactly(
    model: Any, data: str, missing: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    X, y = request.getfixturevalue(data)
    X = with_gaps(X) if missing else X
    exported = export_onnx(model.fit(X[::2], y[::2]), X, tmp_path / "m.onnx", task="classification")
    assert exported.method == "direct"
    assert exported.agreement.max_abs < 1e-6
    assert exported.agreement.label_agreement == 1.0


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: f"{type(m).__name__}-{getattr(m, 'loss', '')}")
@pytest.mark.parametrize("missing", [False, True], ids=["full", "missing"])
def test_regressors_agree_exactly(
    model: Any, missing: bool, values: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    X, y = values
    X = with_gaps(X) if missing else X
    exported = export_onnx(model.fit(X[::2], y[::2]), X, tmp_path / "m.onnx", task="regression")
    assert exported.method == "direct"
    assert exported.agreement.max_relative is not None
    assert exported.agreement.max_relative < 2e-6


@pytest.mark.oracle
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_it_is_what_skl2onnx_says(model: Any, two_classes: tuple[np.ndarray, np.ndarray]) -> None:
    from skl2onnx import to_onnx

    from omniforge.deploy.export.sklearn_models import SklearnExporter

    X, y = two_classes
    model.fit(X[::2], y[::2])
    direct = SklearnExporter().convert(model, example=X, task="classification").model
    reference = to_onnx(model, X[:2], options={id(model): {"zipmap": False}})
    got = [run(m, X) for m in (direct, reference)]
    np.testing.assert_allclose(got[0], got[1], atol=2e-6)


def run(model: Any, X: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {session.get_inputs()[0].name: X})[-1])


def test_one_leaf_for_all_rows(tmp_path: Path, values: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = values
    model = ensemble.HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=10_000).fit(X, y)
    assert export_onnx(model, X, tmp_path / "m.onnx", task="regression").agreement.ok


def test_categorical_splits_are_not_written_directly() -> None:
    X = np.random.default_rng(0).integers(0, 4, size=(100, 2)).astype(float)
    model = ensemble.HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(X, X[:, 0] > 1)
    with pytest.raises(UnsupportedError, match="categorical_features"):
        add_histogram_boosting(Graph(2), model)


def test_several_targets_are_not_written_directly(values: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = values
    model = ensemble.RandomForestRegressor(2).fit(X, np.column_stack([y, y]))
    with pytest.raises(UnsupportedError, match="several targets"):
        add_averaging_forest(Graph(10), model)
