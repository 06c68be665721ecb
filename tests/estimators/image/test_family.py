from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.estimator_suite import EstimatorSuite

from omniforge import estimator
from omniforge.data import PreparedData, prepare
from omniforge.deploy import check_agreement, export_onnx
from omniforge.errors import BundleError, DataError
from omniforge.estimators import Bundle, EstimatorError, load_bundle
from omniforge.estimators.image import ImageEstimator

from .conftest import small

EXAMPLE = Path(__file__).parents[3] / "examples" / "cnn_digits"


class _Family(EstimatorSuite):
    @pytest.fixture
    def bundle(self) -> Bundle:
        return load_bundle("image")

    @pytest.fixture
    def run_epochs(self) -> int:
        return 3


class TestDigits(_Family):
    @pytest.fixture(params=["cnn", "transformer"])
    def config(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return small(request.param)

    @pytest.fixture
    def data_path(self, digits: Path) -> Path:
        return digits

    def test_it_learns(self, make: Any) -> None:
        eager = {"optimizer.adamw.learning_rate": 0.02, "augmentation": "none", "dropout": 0.0}
        assert make(run_epochs=30, **eager).run()["accuracy"] > 0.7


class TestValues(_Family):
    @pytest.fixture
    def config(self) -> dict[str, Any]:
        return small("cnn", augmentation="shift_flip")

    @pytest.fixture
    def data_path(self, brightness: Path) -> Path:
        return brightness

    def test_it_learns(self, make: Any) -> None:
        assert make(run_epochs=20).run()["r2"] > 0.8


class TestTheExample(_Family):
    """``examples/cnn_digits``, a network as a user writes one."""

    @pytest.fixture
    def bundle(self) -> Bundle:
        return load_bundle(EXAMPLE)

    @pytest.fixture(params=["plain", "resnet", "mobilenet"])
    def config(self, request: pytest.FixtureRequest, bundle: Bundle) -> dict[str, Any]:
        return bundle.space.complete({"stages": 1, "stages[0].block": request.param})

    @pytest.fixture
    def data_path(self, digits: Path) -> Path:
        return digits

    def test_it_learns(self, make: Any) -> None:
        assert make(run_epochs=12, learning_rate=0.02).run()["accuracy"] > 0.4

    def test_its_model_is_exported_directly(self, make: Any, data_path: Path, tmp_path: Path) -> None:
        made = make()
        made.run()
        rows, _ = PreparedData.load(data_path).arrays("valid", made.encoding)
        done = export_onnx(made.native_model, rows[:8], tmp_path / "model.onnx", task="classification", classes=10)
        assert done.method == "direct"
        check_agreement(tmp_path / "model.onnx", rows, made.predict_raw(rows), task="classification")


def made_on(path: Path, architecture: str = "cnn", **changes: Any) -> ImageEstimator:
    fixed = {"run_epochs": 1, "data_path": str(path), "is_trainer": False}
    return ImageEstimator(**{**fixed, **small(architecture), **changes})


@pytest.mark.parametrize("architecture", ["cnn", "transformer"])
def test_its_model_is_exported_directly(digits: Path, architecture: str, tmp_path: Path) -> None:
    made = made_on(digits, architecture)
    made.run()
    rows, _ = PreparedData.load(digits).arrays("valid", made.encoding)
    done = export_onnx(made.native_model, rows[:8], tmp_path / "model.onnx", task="classification", classes=10)
    assert done.method == "direct"
    check_agreement(tmp_path / "model.onnx", rows, made.predict_raw(rows), task="classification")


def test_the_seed_decides_and_nothing_else(digits: Path) -> None:
    def scores(seed: int) -> dict[str, float]:
        with estimator.context(seed=seed, threads=1):
            return made_on(digits, run_epochs=2, dropout=0.5).run()

    assert scores(1) == scores(1)
    assert scores(1)["log_loss"] != scores(2)["log_loss"]


def test_a_diverged_training_is_a_failure_that_says_so(digits: Path) -> None:
    wild = made_on(digits)
    for parameter in wild.network.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(EstimatorError, match="diverged in epoch 1"):
        wild.run()


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "steps.npz", x=rng.normal(size=(60, 9, 2)), y=np.arange(60) % 2, layout="tf")
    prepare(tmp_path / "steps.npz", "y", tmp_path / "prepared")
    with pytest.raises(DataError, match="holds sequences of 9 x 2; this estimator reads images"):
        made_on(tmp_path / "prepared")


def test_raw_images_of_another_shape_are_refused(digits: Path) -> None:
    with pytest.raises(DataError, match="expected n x 8 x 8"):
        made_on(digits).predict(np.zeros((3, 9, 9), dtype=np.uint8))


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no trained estimator"):
        ImageEstimator.load(tmp_path)
    (tmp_path / "estimator.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        ImageEstimator.load(tmp_path)
    (tmp_path / "estimator.json").write_text(json.dumps({"format": 1, "feature_plan": {}}))
    with pytest.raises(BundleError, match="not of the image family"):
        ImageEstimator.load(tmp_path)
