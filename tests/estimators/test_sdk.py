from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omniforge import TaskEstimator, estimator
from omniforge.estimators import EstimatorError, RecordingReporter


class Counting(TaskEstimator):
    """Counts epochs; forgets the decorator everywhere, which is forgiven."""

    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.done = 0

    def train(self) -> None:
        for epoch in range(1, self.run_epochs + 1):
            self.done = epoch
            self.report(epoch, {"score": float(epoch)})

    def calculate_score(self) -> float:
        return float(self.done)

    def save(self, path: str | Path) -> None:
        Path(path).mkdir()
        (Path(path) / "count").write_text(str(self.done))


def test_run_trains_and_scores() -> None:
    made = Counting(4, "data", False, rate=0.5)
    assert made.run() == {"score": 4.0}
    assert made.model_args == {"rate": 0.5}
    assert dict(made.arguments) == {"run_epochs": 4, "data_path": "data", "is_trainer": False, "rate": 0.5}


def test_a_forgotten_decorator_is_forgiven() -> None:
    with estimator.use_reporter(RecordingReporter(stop_at=2)):
        made = Counting(9, "data", False)
        assert made.run() == {"score": 2.0}


def test_a_trainer_run_is_not_stopped_and_saves(tmp_path: Path) -> None:
    with estimator.context(reporter=RecordingReporter(stop_at=2), save_dir=tmp_path / "model"):
        made = Counting(5, "data", True)
        made.run()
    assert (tmp_path / "model" / "count").read_text() == "5"


def test_a_search_run_does_not_save(tmp_path: Path) -> None:
    with estimator.context(save_dir=tmp_path / "model"):
        Counting(1, "data", False).run()
    assert not (tmp_path / "model").exists()


def test_a_trainer_run_without_a_folder_leaves_saving_to_the_caller() -> None:
    assert Counting(2, "data", True).run() == {"score": 2.0}


def test_threads_and_seed_come_from_the_context() -> None:
    with estimator.context(seed=8, threads=3):
        made = Counting(1, "data", False)
    assert (made.seed, made.threads) == (8, 3)
    assert (Counting(1, "data", False).seed, Counting(1, "data", False).threads) == (0, 1)


@pytest.mark.parametrize(("method", "purpose"), [("predict", "inference"), ("export_onnx", "deployment")])
def test_what_is_not_defined_says_what_it_is_needed_for(method: str, purpose: str) -> None:
    with pytest.raises(EstimatorError, match=f"Counting cannot {method.replace('_', ' ')}") as caught:
        getattr(Counting(1, "data", False), method)("model.onnx")
    assert purpose in str(caught.value)


def test_load_that_is_not_defined_names_the_class() -> None:
    with pytest.raises(EstimatorError, match="Counting cannot load from model"):
        Counting.load("model")


def test_the_abstract_methods_have_to_be_there() -> None:
    class Half(TaskEstimator):
        def train(self) -> None:
            """Do nothing."""

    with pytest.raises(TypeError, match="calculate_score"):
        Half(1, "data", False)  # type: ignore[abstract]


def test_the_interface_offers_what_an_author_needs() -> None:
    assert estimator.TaskEstimator is TaskEstimator
    with estimator.use_reporter(RecordingReporter(stop_at=1)), pytest.raises(estimator.StopTraining):
        estimator.report(1, {})


def test_importing_the_sdk_is_light() -> None:
    code = (
        "import sys; from omniforge import estimator, TaskEstimator;"
        "print([m for m in ('torch', 'sklearn', 'numpy', 'pandas', 'pydantic', 'yaml') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
