from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.components.formatter.data_choice import with_data
from omniforge.components.formatter.formatter import check, format_job
from omniforge.components.scheduler.resources import Resources
from omniforge.components.spec import JobSpec
from omniforge.errors import DataError, SpecError
from omniforge.estimators import load_bundle
from omniforge.settings import Settings
from omniforge.store import Store

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "cnn_digits")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=rng.integers(0, 9, size=(60, 6, 6), dtype=np.uint8), y=np.arange(60) % 3)
    return tmp_path / "images.npz"


def chosen(settings: Settings, **request: Any) -> JobSpec:
    spec = JobSpec.parse(request)
    return with_data(spec, load_bundle(spec.estimator), settings)


def test_the_estimator_s_own_data_is_used_when_none_is_given(settings: Settings) -> None:
    spec = chosen(settings, kind="hpo", estimator=EXAMPLE)
    assert (Path(spec.data).name, spec.target) == ("cnn_digits.npz", "y")
    assert Path(spec.data).is_relative_to(settings.home_path / "data")
    assert chosen(settings, kind="hpo", estimator=EXAMPLE) == spec


def test_data_that_is_given_comes_first(settings: Settings, images: Path) -> None:
    spec = chosen(settings, kind="hpo", estimator=EXAMPLE, data=str(images))
    assert (spec.data, spec.target) == (str(images), "y")


def test_no_data_at_all_is_an_error_that_says_what_to_give(settings: Settings, iris_csv: Path) -> None:
    with pytest.raises(SpecError, match="estimator 'image' brings none of its own") as caught:
        chosen(settings, kind="hpo", estimator="image")
    assert "--data" in str(caught.value.hint)
    with pytest.raises(SpecError, match=r"target is missing: which column of iris\.csv"):
        chosen(settings, kind="hpo", estimator="tabular", data=str(iris_csv))


def test_tables_and_tensors_are_not_mixed_up(settings: Settings, images: Path, iris_csv: Path) -> None:
    with pytest.raises(SpecError, match="holds tensors, but estimator 'tabular' reads tables"):
        chosen(settings, kind="hpo", estimator="tabular", data=str(images))
    with pytest.raises(SpecError, match="holds a table, but estimator 'image' reads tensors"):
        chosen(settings, kind="hpo", estimator="image", data=str(iris_csv), target="species")
    with pytest.raises(DataError, match="There is no data file"):
        chosen(settings, kind="hpo", estimator="image", data=str(images.with_name("gone.npz")))


def test_images_without_code_are_planned_for_the_image_family(settings: Settings, store: Store, images: Path) -> None:
    checked = check(JobSpec.parse({"data": str(images), "objectives": ("accuracy", "latency_ms<=5")}), settings)
    plan = format_job(checked, settings, store, resources=Resources(cores=2, memory_bytes=64 * 2**30))
    assert (plan.estimator, plan.task_type) == ("image", "classification")
    assert plan.reasons[0] == "60 rows, images of 1 x 6 x 6; classification of 'y'."
