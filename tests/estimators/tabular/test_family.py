from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.estimator_suite import EstimatorSuite

from omniforge import estimator
from omniforge.data import PreparedData
from omniforge.errors import BundleError, DataError, SpaceError
from omniforge.estimators import Bundle, RecordingReporter, load_bundle
from omniforge.estimators.tabular import ALGORITHMS, TabularEstimator


class _Family(EstimatorSuite):
    @pytest.fixture
    def bundle(self) -> Bundle:
        return load_bundle("tabular")

    @pytest.fixture(params=sorted(ALGORITHMS))
    def config(self, request: pytest.FixtureRequest, bundle: Bundle) -> dict[str, Any]:
        return bundle.space.complete({"algorithm": request.param})

    @pytest.fixture
    def run_epochs(self) -> int:
        return 20


class TestTwoClasses(_Family):
    @pytest.fixture
    def data_path(self, two_classes: Path) -> Path:
        return two_classes

    def test_it_learns(self, make: Any) -> None:
        assert make(run_epochs=100).run()["roc_auc"] > 0.95


class TestValues(_Family):
    @pytest.fixture
    def data_path(self, values: Path) -> Path:
        return values

    def test_it_learns(self, make: Any) -> None:
        assert make(run_epochs=100).run()["r2"] > 0.1


def make_estimator(path: Path, **changes: Any) -> TabularEstimator:
    return TabularEstimator(**{"run_epochs": 20, "data_path": str(path), "is_trainer": False, **changes})


def test_without_arguments_the_defaults_of_the_space_hold(two_classes: Path) -> None:
    made = make_estimator(two_classes)
    assert made.arguments["algorithm"] == "lightgbm"
    assert made.arguments["algorithm.lightgbm.num_leaves"] == 31


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_ten_classes_are_told_apart_by_name(many_classes: Path, algorithm: str) -> None:
    made = make_estimator(many_classes, run_epochs=100, algorithm=algorithm)
    assert made.run()["accuracy"] > 0.6
    rows = PreparedData.load(many_classes).rows("valid")
    predicted = made.predict(rows)
    assert set(predicted) <= {f"kind_{digit}" for digit in range(10)}
    assert np.mean(predicted == rows["digit"].to_numpy()) > 0.6


def test_raw_rows_and_encoded_features_predict_the_same(two_classes: Path) -> None:
    made = make_estimator(two_classes, algorithm="linear")
    made.run()
    data = PreparedData.load(two_classes)
    X, _ = data.arrays("test", made.encoding)
    np.testing.assert_array_equal(made.predict(data.rows("test")), made.predict(X))


def test_a_final_training_scores_the_test_split_too(values: Path) -> None:
    scores = make_estimator(values, is_trainer=True).run()
    assert set(scores) == {"rmse", "mae", "r2", "test_rmse", "test_mae", "test_r2"}
    assert scores["rmse"] != scores["test_rmse"]


def test_more_than_all_of_the_budget_is_refused(two_classes: Path) -> None:
    with pytest.raises(SpaceError, match="run_epochs = 101: expected a percentage"):
        make_estimator(two_classes, run_epochs=101)


def test_data_that_is_not_prepared_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared data"):
        make_estimator(tmp_path)


def test_a_wider_space_of_the_users_own_is_taken(two_classes: Path) -> None:
    wider = load_bundle("tabular").space.edit("algorithm.knn.n_neighbors", range=[1, 150])
    with estimator.context(space=wider):
        made = make_estimator(two_classes, algorithm="knn", **{"algorithm.knn.n_neighbors": 120})
    assert made.arguments["algorithm.knn.n_neighbors"] == 120
    with pytest.raises(SpaceError, match="n_neighbors"):
        make_estimator(two_classes, algorithm="knn", **{"algorithm.knn.n_neighbors": 120})


def test_scores_on_the_way_are_those_of_the_validation_rows(two_classes: Path) -> None:
    reporter = RecordingReporter()
    with estimator.context(reporter=reporter, seed=0):
        scores = make_estimator(two_classes, run_epochs=100, algorithm="random_forest").run()
    assert [step for step, _ in reporter.reports] == list(range(10, 101, 10))
    assert reporter.reports[-1][1] == scores


def test_loading_needs_no_data(two_classes: Path, tmp_path: Path) -> None:
    made = make_estimator(two_classes, algorithm="mlp")
    made.run()
    made.save(tmp_path / "model")
    state = json.loads((tmp_path / "model" / "estimator.json").read_text())
    state["arguments"]["data_path"] = "gone"
    (tmp_path / "model" / "estimator.json").write_text(json.dumps(state))
    loaded = TabularEstimator.load(tmp_path / "model")
    rows = PreparedData.load(two_classes).rows("test").drop(columns="diagnosis")
    np.testing.assert_array_equal(loaded.predict(rows), made.predict(rows))


def test_a_folder_without_a_finished_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"it has no estimator.json"):
        TabularEstimator.load(tmp_path)
    (tmp_path / "estimator.json").write_text('{"format": 99}')
    with pytest.raises(BundleError, match="has format 99"):
        TabularEstimator.load(tmp_path)
    (tmp_path / "estimator.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        TabularEstimator.load(tmp_path)


def test_a_class_without_training_rows_is_named(two_classes: Path, tmp_path: Path) -> None:
    record = json.loads((two_classes / "prepared.json").read_text())
    record["classes"] = [*record["classes"], "kind_2"]
    for file in two_classes.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "prepared.json").unlink()
    (tmp_path / "prepared.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="'kind_2' has no row in the training split"):
        make_estimator(tmp_path).run()
