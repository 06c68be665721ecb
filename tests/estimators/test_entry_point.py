from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omniforge import TaskEstimator
from omniforge.errors import BundleError
from omniforge.estimators.entry_point import bind, load_class, load_function

BundleWriter = Callable[..., Path]


def load(folder: Path, name: str = "estimator:Sample") -> type:
    return load_class(name, root=folder, bundle="sample")


def test_a_class_of_the_bundle_is_loaded(write_bundle: BundleWriter) -> None:
    assert load(write_bundle("class Sample: answer = 42")).answer == 42  # type: ignore[attr-defined]


def test_two_bundles_with_the_same_module_name_do_not_mix(write_bundle: BundleWriter) -> None:
    first = load(write_bundle("class Sample: answer = 1", name="one"))
    second = load(write_bundle("class Sample: answer = 2", name="two"))
    assert (first.answer, second.answer) == (1, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("statement", ["from .layers import width", "from layers_of_sample import width"])
def test_modules_of_a_bundle_import_each_other(write_bundle: BundleWriter, statement: str) -> None:
    folder = write_bundle(
        f"{statement}\nclass Sample: answer = width", layers="width = 7", layers_of_sample="width = 7"
    )
    assert load(folder).answer == 7  # type: ignore[attr-defined]


def test_an_installed_module_is_loaded() -> None:
    found = load_class("omniforge.estimators.reporting:RecordingReporter", root=Path("/nowhere"), bundle="sample")
    assert found.__name__ == "RecordingReporter"


def test_a_missing_import_is_told_with_its_line(write_bundle: BundleWriter) -> None:
    folder = write_bundle("import json\nimport no_such_library\nclass Sample: ...")
    with pytest.raises(BundleError) as caught:
        load(folder)
    said = str(caught.value)
    assert "Bundle 'sample': module 'estimator' does not import" in said
    assert "ModuleNotFoundError: No module named 'no_such_library' (estimator.py, line 2)" in said
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("class Sample(\n", "SyntaxError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence (estimator.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_whatever_a_module_raises_is_told(write_bundle: BundleWriter, code: str, said: str) -> None:
    with pytest.raises(BundleError) as caught:
        load(write_bundle(code))
    assert said in str(caught.value)


def test_a_module_that_failed_is_tried_again(write_bundle: BundleWriter) -> None:
    folder = write_bundle("import no_such_library")
    with pytest.raises(BundleError):
        load(folder)
    (folder / "estimator.py").write_text("class Sample: answer = 'mended now'\n")
    assert load(folder).answer == "mended now"  # type: ignore[attr-defined]


def test_a_module_that_is_not_there_says_where_it_was_sought(write_bundle: BundleWriter) -> None:
    folder = write_bundle("")
    with pytest.raises(BundleError, match="No module named 'trainer_of_sample'") as caught:
        load(folder, "trainer_of_sample:Sample")
    assert f"no trainer_of_sample.py in {folder}" in str(caught.value)


def test_a_class_that_is_not_there_lists_those_that_are(write_bundle: BundleWriter) -> None:
    folder = write_bundle("class Other: ...\nSample = 3")
    with pytest.raises(BundleError, match="'Sample' in module 'estimator' is not a class") as caught:
        load(folder)
    assert "Other" in str(caught.value)
    with pytest.raises(BundleError, match="'Missing' in module 'estimator' does not exist"):
        load(folder, "estimator:Missing")


class Duck:
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: object) -> None:
        self.done = 0

    def train(self) -> None:
        self.done = self.run_epochs  # type: ignore[attr-defined]  # set by wrap

    def calculate_score(self) -> float:
        return float(self.done)


def test_a_class_that_looks_like_an_estimator_becomes_one() -> None:
    bound = bind(Duck, {"primary_metric": "count"}, bundle="sample")
    assert issubclass(bound, TaskEstimator)
    assert bound.__name__ == "Duck"
    assert bound(3, "data", False).run() == {"count": 3.0}


def test_a_class_with_its_own_run_needs_no_train() -> None:
    class Runs:
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool) -> None:
            self.score = 0.25

        def calculate_score(self) -> float:
            return self.score

        def run(self) -> float:
            return self.calculate_score()

    assert bind(Runs, {}, bundle="sample")(1, "data", True).run() == {"score": 0.25}


def test_binding_leaves_the_class_as_it_was() -> None:
    bind(Duck, {"primary_metric": "count"}, bundle="sample")
    assert not hasattr(Duck, "primary_metric")


def test_what_an_estimator_lacks_is_named() -> None:
    class Bare:
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool) -> None: ...

    with pytest.raises(
        BundleError, match=r"Bare is not an estimator: it lacks calculate_score\(\) and train\(\) or run"
    ):
        bind(Bare, {}, bundle="sample")


def test_arguments_that_init_lacks_are_named() -> None:
    class Short(Duck):
        def __init__(self, run_epochs: int) -> None: ...

    with pytest.raises(BundleError, match=r"Short.__init__ does not take data_path, is_trainer"):
        bind(Short, {}, bundle="sample")


def test_an_abstract_class_is_refused() -> None:
    class Half(TaskEstimator):
        def train(self) -> None: ...

    with pytest.raises(BundleError, match="Half does not define calculate_score"):
        bind(Half, {}, bundle="sample")


def test_a_failed_import_leaves_no_module_behind(write_bundle: BundleWriter) -> None:
    before = {name for name in sys.modules if name.startswith("omniforge_bundle_")}
    with pytest.raises(BundleError):
        load(write_bundle("from . import layers\nraise ValueError", layers=""))
    assert {name for name in sys.modules if name.startswith("omniforge_bundle_")} == before


def test_a_function_of_the_bundle_is_loaded(write_bundle: BundleWriter) -> None:
    folder = write_bundle(
        "class Sample: ...", dataset="from .numbers_of import two\ndef load(): return two", numbers_of="two = 2"
    )
    assert load_function("dataset:load", root=folder, bundle="sample")() == 2
    with pytest.raises(BundleError, match="'lode' in module 'dataset' does not exist"):
        load_function("dataset:lode", root=folder, bundle="sample")
    with pytest.raises(BundleError, match="'two' in module 'numbers_of' is not a function"):
        load_function("numbers_of:two", root=folder, bundle="sample")
