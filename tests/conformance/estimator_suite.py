"""What every estimator has to do, whatever it learns: a new one provides four fixtures and inherits the suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge import TaskEstimator, estimator
from omniforge.data import PreparedData
from omniforge.errors import InputError, SpaceError
from omniforge.estimators import Bundle, EstimatorError, NativeModel, RecordingReporter, cause_of

RANGES = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "f1_macro": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "log_loss": (0.0, 20.0),
    "rmse": (0.0, float("inf")),
    "mae": (0.0, float("inf")),
    "r2": (-10.0, 1.0),
}


class EstimatorSuite:
    """The conformance suite of the ``TaskEstimator`` contract.

    A subclass provides the fixtures ``bundle`` (a :class:`Bundle`), ``config`` (a configuration of its space),
    ``data_path`` (a small prepared data set) and ``run_epochs`` (enough for several reports).
    """

    @pytest.fixture
    def around(self, tmp_path: Path) -> Iterator[RecordingReporter]:
        reporter = RecordingReporter()
        with estimator.context(seed=3, threads=1, reporter=reporter, save_dir=tmp_path / "saved"):
            yield reporter

    @pytest.fixture
    def make(self, bundle: Bundle, config: dict[str, Any], data_path: Path, run_epochs: int) -> Any:
        def build(cls: type[TaskEstimator] | None = None, *, is_trainer: bool = False, **changes: Any) -> TaskEstimator:
            chosen = cls or bundle.estimator_class()
            fixed = {"run_epochs": run_epochs, "data_path": str(data_path), "is_trainer": is_trainer}
            return chosen(**{**fixed, **config, **changes})

        return build

    def test_the_bundle_fits_the_contract(self, bundle: Bundle, config: dict[str, Any], run_epochs: int) -> None:
        bundle.space.validate(config)
        bundle.space.validate(bundle.space.default())
        assert set(bundle.primary_by_task) == set(bundle.tasks)
        if bundle.fidelity is not None:
            assert bundle.fidelity.min <= run_epochs <= bundle.fidelity.max

    def test_trains_and_scores_the_declared_metrics(self, make: Any, bundle: Bundle, around: RecordingReporter) -> None:
        scores = make().run()
        assert set(scores) <= set(bundle.metrics)
        assert set(bundle.primary_by_task.values()) & set(scores)
        for name, value in scores.items():
            low, high = RANGES.get(name, (-float("inf"), float("inf")))
            assert low <= value <= high, name

    def test_the_same_seed_gives_the_same_scores(self, make: Any, around: RecordingReporter) -> None:
        assert make().run() == make().run()

    def test_records_its_arguments(self, make: Any, config: dict[str, Any], run_epochs: int) -> None:
        made = make()
        assert dict(made.arguments) == {
            "run_epochs": run_epochs,
            "data_path": made.data_path,
            "is_trainer": False,
            **config,
        }

    def test_reports_progress_step_by_step(self, make: Any, run_epochs: int, around: RecordingReporter) -> None:
        scores = make().run()
        steps = [step for step, _ in around.reports]
        assert len(steps) >= 2
        assert steps == sorted(set(steps))
        assert steps[-1] == run_epochs
        assert around.reports[-1][1] == pytest.approx(scores)

    def test_stops_early_and_still_scores(self, make: Any, around: RecordingReporter) -> None:
        around.stop_at = 1
        made = make()
        scores = made.run()
        assert made.stopped
        assert len(around.reports) == 1
        assert scores == pytest.approx(around.reports[0][1])

    def test_a_final_training_is_not_cut_short(self, make: Any, run_epochs: int, around: RecordingReporter) -> None:
        around.stop_at = 1
        made = make(is_trainer=True)
        made.run()
        assert not made.stopped
        assert around.reports[-1][0] == run_epochs

    def test_a_final_training_saves_what_predicts_the_same(
        self, make: Any, data_path: Path, tmp_path: Path, around: RecordingReporter
    ) -> None:
        made = make(is_trainer=True)
        made.run()
        loaded = type(made).load(tmp_path / "saved")
        rows = PreparedData.load(data_path).rows("test")
        np.testing.assert_array_equal(loaded.predict(rows), made.predict(rows))
        assert len(made.predict(rows)) == len(rows)

    def test_the_native_model_reads_the_encoded_matrix(
        self, make: Any, data_path: Path, around: RecordingReporter
    ) -> None:
        made = make()
        made.run()
        assert isinstance(made, NativeModel)
        data = PreparedData.load(data_path)
        X, _ = data.arrays("valid", made.encoding)
        raw = made.predict_raw(X)
        assert made.native_model is not None
        assert raw.shape == (len(X), len(data.classes) if data.classes else 1)
        if data.classes:
            np.testing.assert_allclose(raw.sum(axis=1), 1.0, atol=1e-5)

    def test_an_unknown_parameter_is_named(self, make: Any) -> None:
        with pytest.raises(InputError, match="no_such_parameter") as caught:
            make(no_such_parameter=1)
        assert cause_of(caught.value) == "invalid_configuration"

    def test_a_wrong_value_is_named(self, make: Any, config: dict[str, Any]) -> None:
        path = list(config)[-1]
        with pytest.raises(SpaceError) as caught:
            make(**{path: "no such value"})
        assert path in str(caught.value)
        assert cause_of(caught.value) == "invalid_configuration"

    def test_wrong_fixed_arguments_are_named(self, bundle: Bundle, config: dict[str, Any], data_path: Path) -> None:
        cls = bundle.estimator_class()
        with pytest.raises(SpaceError, match="run_epochs = 0"):
            cls(run_epochs=0, data_path=str(data_path), is_trainer=False, **config)
        with pytest.raises(SpaceError, match="is_trainer = 'yes'"):
            cls(run_epochs=1, data_path=str(data_path), is_trainer="yes", **config)  # type: ignore[arg-type]

    def test_an_exception_becomes_a_cause(self, make: Any, bundle: Bundle) -> None:
        failing = _failing(bundle, KeyError("weights"))
        with pytest.raises(EstimatorError, match="KeyError: 'weights'") as caught:
            make(failing).run()
        assert (caught.value.cause, caught.value.stage) == ("exception", "train")
        assert isinstance(caught.value.__cause__, KeyError)

    def test_running_out_of_memory_becomes_a_cause(self, make: Any, bundle: Bundle) -> None:
        with pytest.raises(EstimatorError) as caught:
            make(_failing(bundle, MemoryError())).run()
        assert cause_of(caught.value) == "out_of_memory"


def _failing(bundle: Bundle, error: Exception) -> type[TaskEstimator]:
    """Return the bundle's class with a training that fails."""

    def train(self: TaskEstimator) -> None:
        raise error

    return type("Failing", (bundle.estimator_class(),), {"train": train})
