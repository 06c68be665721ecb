from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.runtime_suite import linear_model

from omniforge.components.advisor.insight import class_scores, gather
from omniforge.components.spec import Phase
from omniforge.data import PreparedData, prepare, transform
from omniforge.models import ModelVersion, write_asset
from omniforge.store import Store

TWO = [{"metric": "accuracy", "goal": "max"}, {"metric": "latency_ms", "goal": "min"}]


def always(label: int, data: PreparedData, folder: Path) -> ModelVersion:
    """Return a model that claims one class of every row."""
    width = len(data.plan("ordinal").feature_names)
    weights = np.zeros((width, len(data.classes or ())), dtype=np.float32)
    weights[:, label] = 1e-9
    (folder / "model.onnx").write_bytes(linear_model(weights))
    path = write_asset(
        folder / "asset", onnx_path=folder / "model.onnx", plan=data.plan("ordinal").to_dict(),
        transform_source=inspect.getsource(transform), task=data.task, classes=data.classes, target=data.target,
        metrics={}, lineage={}, example_rows=data.rows("test").head(5),
    )  # fmt: skip
    return ModelVersion("probe", 1, path)


@pytest.fixture
def positive(tmp_path: Path) -> Callable[[Any], PreparedData]:
    """Prepare rows of one positive number, whose class is as given, repeated."""

    def make(labels: list[Any]) -> PreparedData:
        frame = pd.DataFrame(
            {"x": np.arange(120) / 120 + 1, "y": pd.Series(labels * (120 // len(labels)), dtype=object)}
        )
        frame.to_csv(tmp_path / "d.csv", index=False)
        return prepare(tmp_path / "d.csv", "y", tmp_path / "prepared", task="classification")

    return make


def test_the_board_the_front_and_the_importance_are_of_the_search_alone(
    store: Store, iris: PreparedData, make_plan: Callable[..., Any], make_job: Any, add_task: Any
) -> None:
    phases = [Phase(name, 10, "random", {"run_epochs": 2.0}) for name in ("default", "search")]
    make_job(make_plan(objectives=TWO, phases=phases))
    add_task(phase="default", strength=1.0, rewards={"accuracy": 0.1, "latency_ms": 1.0})
    for i in range(9):
        add_task(strength=0.02 * 2**i, rewards={"accuracy": 0.5 + i / 100, "latency_ms": 1.0 + i})
    add_task("refuse", reserve=True)
    add_task(rewards={"accuracy": 0.9})  # latency was not measured
    found = gather(store, store.jobs.get("job"), data=iris, model=None)
    assert len(found.tasks) == 11
    assert len(found.board) == len(found.front) == 9
    assert list(found.importance) == ["accuracy", "latency_ms"]
    assert found.importance["accuracy"].n == 9
    assert found.baseline is not None
    assert found.baseline.rewards["accuracy"] == 0.1
    assert (found.classes, found.profile.target) == ([], "species")


def test_a_job_without_any_task_is_gathered_too(
    store: Store, iris: PreparedData, make_plan: Callable[..., Any], make_job: Any
) -> None:
    make_job(make_plan())
    found = gather(store, store.jobs.get("job"), data=iris, model=None)
    assert (found.tasks, found.board, found.front, found.suggestions, found.baseline) == ([], [], [], [], None)
    assert not found.importance["accuracy"].main


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes", "yes"], ["no", "yes"]),
        ([False, True, True], [False, True]),
        ([0, 1, 1, None], [0, 1]),  # with a gap the file's column is read as 0.0 and 1.0
    ],
)
def test_recall_and_precision_of_each_class_on_the_test_rows(
    labels: list[Any], classes: list[Any], positive: Callable[[Any], PreparedData], tmp_path: Path
) -> None:
    data = positive(labels)
    scores = class_scores(data, always(1, data, tmp_path))
    assert [score.label for score in scores] == classes
    absent, claimed = scores
    rows = data.sizes["test"]
    assert (absent.recall, absent.precision, claimed.recall) == (0.0, 0.0, 1.0)
    assert claimed.precision == claimed.test_rows / rows
    assert absent.test_rows + claimed.test_rows == rows
    assert absent.train_rows + claimed.train_rows == data.sizes["train"]
    assert claimed.test_rows == pytest.approx(2 * absent.test_rows, abs=2)
