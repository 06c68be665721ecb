from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from omniforge import TaskEstimator
from omniforge.errors import BundleError, UnknownNameError
from omniforge.estimators import BUNDLES, METRICS, load_bundle, metrics_of

BundleWriter = Callable[..., Path]

CODE = """
from omniforge import TaskEstimator, estimator

class Sample(TaskEstimator):
    @estimator.wrap
    def __init__(self, run_epochs, data_path, is_trainer, **model_args):
        super().__init__(run_epochs, data_path, is_trainer, **model_args)

    def train(self): ...

    def calculate_score(self):
        return self.model_args["rate"]
"""


def test_a_bundle_is_loaded_without_its_code(write_bundle: BundleWriter) -> None:
    bundle = load_bundle(write_bundle("raise RuntimeError"))
    assert (bundle.name, bundle.version, bundle.tasks) == ("sample", "1.2.3", ("classification",))
    assert bundle.metrics == {"score": "max"}
    assert bundle.primary == "score"
    assert bundle.fidelity is None
    assert set(bundle.space.parameters) == {"rate", "kind"}


def test_its_class_is_bound_to_its_space_and_metric(write_bundle: BundleWriter) -> None:
    bundle = load_bundle(write_bundle(CODE))
    made = bundle.estimator_class()(1, "data", False, kind="fancy")
    assert isinstance(made, TaskEstimator)
    assert made.model_args == {"rate": 0.1, "kind": "fancy"}
    assert made.run() == {"score": pytest.approx(0.1)}


def test_the_manifest_itself_can_be_given(write_bundle: BundleWriter) -> None:
    folder = write_bundle(CODE)
    assert load_bundle(folder / "estimator.yaml").root == folder


def test_a_space_in_a_file_of_its_own(write_bundle: BundleWriter) -> None:
    folder = write_bundle(CODE)
    text = (folder / "estimator.yaml").read_text()
    start, end = text.index("space:"), text.index("metrics:")
    (folder / "estimator.yaml").write_text(f"{text[:start]}space: space.yaml\n{text[end:]}")
    with pytest.raises(BundleError, match=r"there is no file 'space.yaml'"):
        load_bundle(folder)
    (folder / "space.yaml").write_text("rate: {type: float, range: [0.1, 1]}\n")
    assert set(load_bundle(folder).space.parameters) == {"rate"}


def test_an_impossible_space_is_told_with_its_line(write_bundle: BundleWriter) -> None:
    folder = write_bundle(CODE)
    text = (folder / "estimator.yaml").read_text().replace("[0.001, 1.0]", "[1.0, 0.001]")
    (folder / "estimator.yaml").write_text(text)
    with pytest.raises(BundleError, match="'sample', search space") as caught:
        load_bundle(folder)
    assert "rate" in str(caught.value)
    assert "line 6" in str(caught.value).lower()


def test_a_module_that_does_not_import_is_an_input_error(write_bundle: BundleWriter) -> None:
    bundle = load_bundle(write_bundle("import no_such_library"))
    with pytest.raises(BundleError, match="No module named 'no_such_library'") as caught:
        bundle.estimator_class()
    assert caught.value.exit_code == 2


def test_a_name_that_is_not_there_has_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle 'tabula'") as caught:
        load_bundle("tabula")
    assert "tabular" in str(caught.value)
    with pytest.raises(BundleError, match=r"it has no estimator.yaml"):
        load_bundle(tmp_path)


def test_a_task_that_it_cannot_do_is_named(write_bundle: BundleWriter) -> None:
    with pytest.raises(UnknownNameError, match="task of bundle 'sample'"):
        load_bundle(write_bundle(CODE)).primary_metric("regression")


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_the_provisioned_bundles_load(name: str) -> None:
    bundle = load_bundle(name)
    assert bundle.name == name
    assert issubclass(bundle.estimator_class(), TaskEstimator)
    assert bundle.primary_metric("regression") == "rmse"
    for metric, goal in bundle.metrics.items():
        assert METRICS[metric] == goal
    for task in bundle.tasks:
        assert set(metrics_of(task)) <= set(bundle.metrics)
