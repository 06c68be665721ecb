from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVR

from omniforge.deploy import export_onnx
from omniforge.errors import ExportError, SpecError

Rows = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize("data", ["two_classes", "three_classes"])
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(max_iter=500), make_pipeline(StandardScaler(), LogisticRegression()), GaussianNB()],
    ids=["linear", "pipeline", "bayes"],
)
def test_classifiers_go_through_skl2onnx(model: Any, data: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    X, y = request.getfixturevalue(data)
    exported = export_onnx(model.fit(X[::2], y[::2]), X, tmp_path / "m.onnx", task="classification")
    assert exported.method == "skl2onnx"
    assert exported.columns == len(set(y))
    assert exported.agreement.max_abs < 1e-5


@pytest.mark.parametrize(
    "model",
    [Ridge(), LinearRegression(), make_pipeline(StandardScaler(), ElasticNet(0.1)), SVR(C=100.0)],
    ids=["ridge", "linear", "pipeline", "svr"],
)
def test_regressors_go_through_skl2onnx(model: Any, values: Rows, tmp_path: Path) -> None:
    X, y = values
    exported = export_onnx(model.fit(X[::2], y[::2]), X, tmp_path / "m.onnx", task="regression")
    assert (exported.method, exported.columns) == ("skl2onnx", 1)
    assert exported.agreement.max_relative is not None
    assert exported.agreement.max_relative < 1e-5


def test_a_subclass_is_not_taken_for_its_base(two_classes: Rows, tmp_path: Path) -> None:
    class Contrary(RandomForestClassifier):
        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba(X)[:, ::-1]

    X, y = two_classes
    with pytest.raises(ExportError, match="Contrary"):
        export_onnx(Contrary(3).fit(X, y), X, tmp_path / "m.onnx", task="classification")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_estimator_is_named(two_classes: Rows, tmp_path: Path) -> None:
    class Guess(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Guess:
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    X, y = two_classes
    with pytest.raises(ExportError, match="Guess"):
        export_onnx(make_pipeline(StandardScaler(), Guess()).fit(X, y), X, tmp_path / "m.onnx", task="classification")


def test_a_soft_vote_is_refused_with_its_name(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    model = VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft").fit(X, y)
    with pytest.raises(ExportError, match="VotingClassifier"):
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")


def test_a_classifier_without_probabilities_is_named(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    with pytest.raises(ExportError, match=r"RidgeClassifier.*predict_proba"):
        export_onnx(RidgeClassifier().fit(X, y), X, tmp_path / "m.onnx", task="classification")


def test_the_step_without_a_converter_is_named(two_classes: Rows, tmp_path: Path) -> None:
    X, y = two_classes
    columns = ColumnTransformer([("first", StandardScaler(), [0, 1]), ("curves", SplineTransformer(), [2])])
    model = Pipeline([("prepare", columns), ("predict", LogisticRegression())]).fit(X, y)
    with pytest.raises(ExportError, match=r"the step 'prepare\.curves' \(.*SplineTransformer\)"):
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")


def test_only_tables_are_read(two_classes: Rows, tmp_path: Path) -> None:
    model = LogisticRegression().fit(*two_classes)
    with pytest.raises(SpecError, match="n x d"):
        export_onnx(model, np.zeros((4, 30, 1)), tmp_path / "m.onnx", task="classification")
    whole = np.arange(120).reshape(4, 30)
    assert export_onnx(model, whole, tmp_path / "m.onnx", task="classification").input.dtype == "float32"


def test_a_way_out_is_told_where_one_is_known(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    model = VotingClassifier([("a", LogisticRegression(max_iter=500))], voting="soft").fit(X, y)
    with pytest.raises(ExportError) as caught:
        export_onnx(model, X, tmp_path / "m.onnx", task="classification")
    assert "flatten_transform=False" in str(caught.value.hint)


def test_a_model_that_is_not_fitted_is_named(three_classes: Rows, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not fitted") as caught:
        export_onnx(LogisticRegression(), three_classes[0], tmp_path / "m.onnx", task="classification")
    assert "Fit it first" in str(caught.value.hint)


def test_a_row_with_a_gap_that_the_model_does_not_take_is_named(three_classes: Rows, tmp_path: Path) -> None:
    X, y = three_classes
    gapped = X.copy()
    gapped[7, 2] = np.nan
    with pytest.raises(ExportError, match="row 7 holds NaN"):
        export_onnx(LogisticRegression(max_iter=500).fit(X, y), gapped, tmp_path / "m.onnx", task="classification")
