from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.registry import model_registry
from omniforge.components.spec import JobPlan
from omniforge.components.task_estimator.build import build_model
from omniforge.data import PreparedData
from omniforge.errors import JobFailedError
from omniforge.models import predict
from omniforge.settings import Settings
from omniforge.store import JobRecord, Store, TaskRecord

AddTask = Callable[..., TaskRecord]


@pytest.fixture
def job(make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord]) -> JobRecord:
    return make_job(make_plan(lease_s=5.0))


@pytest.mark.fault
def test_the_best_that_can_be_trained_in_full_is_registered_once(
    job: JobRecord, store: Store, settings: Settings, iris: PreparedData, add_task: AddTask, tmp_path: Path
) -> None:
    add_task("tire", rewards={"accuracy": 0.99})  # the best of the search, but not in full
    second = add_task("fit", strength=2.0, rewards={"accuracy": 0.9})
    add_task("fit", strength=1.0, rewards={"accuracy": 0.5})
    left = [add_task("fit", strength=9.0, phase="final"), add_task("tire", phase="final")]  # by an interrupted build
    built = build_model("job")
    assert built.name == "probe/1"
    assert built.metrics.keys() > {"accuracy", "latency_ms"}
    tried = store.broker.tasks("job", phase="final")
    assert [(task.config["act"], task.state) for task in tried] == [
        ("fit", "succeeded"), ("tire", "failed"), ("fit", "succeeded")
    ]  # fmt: skip
    assert [task.id for task in tried[:2]] == [task.id for task in left]
    assert tried[2].fidelity == {"run_epochs": 4.0}
    assert store.jobs.get("job").result == {"model": "probe/1", "final_metrics": built.metrics}

    version = model_registry(settings).resolve("probe")
    lineage = version.lineage
    assert lineage["job_id"] == "job"
    assert lineage["config"] == second.config
    assert lineage["data_version"] == iris.data_version
    assert lineage["environment"].keys() > {"python", "numpy", "onnxruntime"}
    assert lineage["deployments"][0]["device"] == "local"
    rows = iris.rows("test")
    predicted = predict(version.path, rows.drop(columns=["species"]))
    assert (predicted["prediction"] == rows["species"]).mean() > 0.8
    built.copy_to(str(tmp_path / "artifact"))
    assert (tmp_path / "artifact" / "predict.py").is_file()

    again = build_model("job")
    assert again == built
    assert len(store.broker.tasks("job", phase="final")) == 3


@pytest.mark.fault
def test_when_none_can_be_trained_in_full_the_error_has_the_causes(
    job: JobRecord, store: Store, add_task: AddTask
) -> None:
    for rank in range(5):
        add_task("tire", strength=1.0 + rank, rewards={"accuracy": 0.9 - 0.1 * rank})
    with pytest.raises(JobFailedError) as caught:
        build_model("job")
    assert caught.value.message.count("too much for me") == 3
    assert "task 1: exception" in caught.value.message
    assert (store.jobs.get("job").result or {}).get("model") is None


def test_without_a_score_there_is_nothing_to_build(job: JobRecord, add_task: AddTask) -> None:
    add_task("fit")
    with pytest.raises(JobFailedError, match="none has a score"):
        build_model("job")


def test_an_estimator_that_cannot_export_has_no_model(
    make_plan: Callable[..., JobPlan],
    make_job: Callable[..., JobRecord],
    store: Store,
    add_task: AddTask,
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "constant"
    bundle.mkdir()
    (bundle / "estimator.yaml").write_text(
        "name: constant\nversion: 1.0.0\ntasks: [classification]\nentry_point: constant:Constant\n"
        "metrics: {accuracy: max}\nspace:\n  strength: {type: float, range: [0.0, 9.0]}\n"
        "  act: {type: choice, range: [fit, rest], default: fit}\n"
    )
    (bundle / "constant.py").write_text(
        "from omniforge import TaskEstimator\n\n"
        "class Constant(TaskEstimator):\n"
        "    def train(self): ...\n"
        "    def calculate_score(self):\n        return {'accuracy': 0.5}\n"
    )
    make_job(make_plan(estimator=str(bundle), final_fidelity=None))
    add_task("fit", rewards={"accuracy": 0.5})
    built: Any = build_model("job")
    assert (built.name, built.path, built.metrics) == ("", None, {"accuracy": 0.5})
    built.copy_to(str(tmp_path / "artifact"))
    assert not (tmp_path / "artifact").exists()
    assert store.jobs.get("job").result == {"final_metrics": {"accuracy": 0.5}}
