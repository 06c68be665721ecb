"""The starter, and with it ``examples/digits_mlp``, which is what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conformance.estimator_suite import EstimatorSuite

from omniforge.errors import BundleError
from omniforge.estimators import Bundle, load_bundle, write_starter
from omniforge.estimators.starter.writing import class_name

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits_mlp"


def test_the_example_is_what_the_starter_writes(tmp_path: Path) -> None:
    written = write_starter(tmp_path / "digits_mlp")
    for file in ("estimator.yaml", "estimator.py"):
        assert (written / file).read_text() == (EXAMPLE / file).read_text()


def test_a_name_of_ones_own(tmp_path: Path) -> None:
    bundle = load_bundle(write_starter(tmp_path / "here", name="churn-model"))
    assert bundle.name == "churn-model"
    assert bundle.estimator_class().__name__ == "ChurnModel"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_starter(tmp_path / "mine")
    with pytest.raises(BundleError, match=r"has estimator.yaml and estimator.py already"):
        write_starter(tmp_path / "mine")


def test_a_name_that_cannot_be_used_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="'My Model' cannot name a bundle"):
        write_starter(tmp_path / "My Model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "expected"), [("digits_mlp", "DigitsMLP"), ("a-b_c", "ABC"), ("wine", "Wine")])
def test_class_names(name: str, expected: str) -> None:
    assert class_name(name) == expected


class TestDigitsExample(EstimatorSuite):
    @pytest.fixture
    def bundle(self) -> Bundle:
        return load_bundle(EXAMPLE)

    @pytest.fixture
    def config(self, bundle: Bundle) -> dict[str, Any]:
        return bundle.space.default()

    @pytest.fixture
    def data_path(self, many_classes: Path) -> Path:
        return many_classes

    @pytest.fixture
    def run_epochs(self) -> int:
        return 4

    def test_it_learns(self, make: Any, around: Any) -> None:
        assert make().run()["accuracy"] > 0.5
