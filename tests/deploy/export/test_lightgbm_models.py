from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from omniforge.deploy import export_onnx
from omniforge.deploy.export.lightgbm_models import LightGBMExporter
from omniforge.errors import ExportError

Rows = tuple[np.ndarray, np.ndarray]
SETTINGS: dict[str, Any] = {"n_estimators": 20, "num_leaves": 15, "verbose": -1, "n_jobs": 1}


def with_gaps(X: np.ndarray) -> np.ndarray:
    gaps = np.random.default_rng(0).random(X.shape) < 0.1
    return np.where(gaps, np.float32(np.nan), X)


@pytest.mark.parametrize("data", ["two_classes", "three_classes"])
@pytest.mark.parametrize("trained_with_gaps", [False, True])
@pytest.mark.parametrize("settings", [{}, {"boosting_type": "dart"}, {"class_weight": "balanced"}])
def test_classifiers_agree_exactly(
    data: str, trained_with_gaps: bool, settings: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    X, y = request.getfixturevalue(data)
    gapped = with_gaps(X)
    model = lightgbm.LGBMClassifier(**SETTINGS, **settings).fit((gapped if trained_with_gaps else X)[::2], y[::2])
    exported = export_onnx(model, gapped, tmp_path / "m.onnx", task="classification")
    assert exported.method == "direct"
    assert exported.agreement.max_abs < 1e-6


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"objective": "regression_l1"},
        {"objective": "huber"},
        {"objective": "poisson"},
        {"objective": "tweedie"},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"min_child_samples": 10_000},
    ],
    ids=lambda s: "-".join(map(str, s.values())) or "default",
)
def test_regressors_agree_exactly(settings: dict[str, Any], values: Rows, tmp_path: Path) -> None:
    X, y = values
    model = lightgbm.LGBMRegressor(**SETTINGS, **settings).fit(X[::2], y[::2])
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="regression")
    assert exported.method == "direct"
    assert exported.agreement.max_relative is not None
    assert exported.agreement.max_relative < 5e-6


def test_a_booster_is_a_model(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    settings = {"objective": "multiclass", "num_class": 3, "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y), num_boost_round=10)
    exported = export_onnx(booster, X, tmp_path / "m.onnx", task="classification")
    assert (exported.method, exported.columns) == ("direct", 3)


def test_early_stopping_exports_the_best_iteration(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    model = lightgbm.LGBMClassifier(**{**SETTINGS, "n_estimators": 300, "learning_rate": 0.5})
    model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], callbacks=[lightgbm.early_stopping(5, verbose=False)])
    assert model.best_iteration_ < 300
    assert export_onnx(model, X, tmp_path / "m.onnx", task="classification").agreement.max_abs < 1e-6


@pytest.mark.oracle
@pytest.mark.parametrize("data", ["two_classes", "three_classes"])
def test_it_is_what_onnxmltools_says(data: str, request: pytest.FixtureRequest) -> None:
    import onnxruntime
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    X, y = request.getfixturevalue(data)
    model = lightgbm.LGBMClassifier(**SETTINGS).fit(X, y)
    types = [("features", FloatTensorType([None, X.shape[1]]))]
    reference = convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15)
    direct = LightGBMExporter().convert(model, example=X, task="classification").model
    got = [
        onnxruntime.InferenceSession(m.SerializeToString()).run(["probabilities"], {"features": X})[0]
        for m in (direct, reference)
    ]
    np.testing.assert_allclose(got[0], got[1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({"objective": "cross_entropy"}, "two_classes", "cross_entropy"),
        ({"objective": "multiclassova"}, "three_classes", "does not predict probabilities"),
    ],
)
def test_other_objectives_are_refused_by_name(
    settings: dict[str, Any], data: str, message: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    X, y = request.getfixturevalue(data)
    model = lightgbm.LGBMClassifier(**SETTINGS, **settings).fit(X, y)
    with pytest.raises(ExportError, match=message) as caught:
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    assert "LGBMClassifier" in caught.value.message


def test_categorical_splits_go_through_onnxmltools(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 6, size=(400, 3)).astype(np.float32)
    y = ((X[:, 0] == 2) | (X[:, 0] == 5)).astype(int)
    model = lightgbm.LGBMClassifier(**{**SETTINGS, "n_estimators": 5}).fit(X, y, categorical_feature=[0])
    exported = export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    assert exported.method == "onnxmltools"
    assert exported.agreement.max_abs < 1e-4


def test_linear_leaves_are_refused(values: Rows, tmp_path: Path) -> None:
    X, y = values
    model = lightgbm.LGBMRegressor(**SETTINGS, linear_tree=True).fit(X, y)
    with pytest.raises(ExportError, match="linear leaves"):
        export_onnx(model, X, tmp_path / "m.onnx", task="regression")


@pytest.mark.parametrize(
    ("settings", "named"), [({"reg_sqrt": True}, "reg_sqrt"), ({"zero_as_missing": True}, "zero_as_missing")]
)
def test_settings_that_are_not_written_are_refused_by_name(
    settings: dict[str, Any], named: str, values: Rows, tmp_path: Path
) -> None:
    X, y = values
    sparse = np.where(np.random.default_rng(0).random(X.shape) < 0.4, np.float32(0), X)
    model = lightgbm.LGBMRegressor(**SETTINGS, **settings).fit(sparse, y)
    with pytest.raises(ExportError, match=named):
        export_onnx(model, sparse, tmp_path / "m.onnx", task="regression")


def test_another_slope_of_the_sigmoid_is_refused_by_name(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    with pytest.raises(ExportError, match="sigmoid:2"):
        export_onnx(
            lightgbm.LGBMClassifier(**SETTINGS, sigmoid=2).fit(X, y), X, tmp_path / "m.onnx", task="classification"
        )


def test_an_objective_of_one_s_own_gives_numbers_and_no_probabilities(two_classes: Rows, tmp_path: Path) -> None:
    def squared(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return predicted - truth, np.ones_like(predicted)

    X, y = two_classes
    model = lightgbm.LGBMRegressor(**SETTINGS, objective=squared).fit(X, y)
    assert export_onnx(model, X, tmp_path / "m.onnx", task="regression").agreement.ok
    with pytest.raises(ExportError, match=r"objective of its own|probabilities"):
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    with pytest.raises(ExportError, match="not fitted"):
        export_onnx(lightgbm.LGBMRegressor(), X, tmp_path / "m.onnx", task="regression")
