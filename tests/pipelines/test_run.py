"""Running a job's pipeline here; whole jobs are run by ``tests/cli`` and ``tests/faults``."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.spec import JobSpec
from omniforge.components.start.start import request_of_spec, spec_of_request
from omniforge.errors import ComponentError
from omniforge.pipelines import run_job
from omniforge.pipelines.local import load_ir
from omniforge.pipelines.local.ir import definitions_of
from omniforge.pipelines.run import ALL, COMPILED
from omniforge.settings import Settings
from omniforge.store import Store, open_store

KINDS = ("nocode", "hpo")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("HOME", "STORE_URL", "REGISTRY_URL", "IMAGE", "LEASE_S"):
        monkeypatch.delenv(f"OMNIFORGE_{name}", raising=False)
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.resolved_store_url) as opened:
        yield opened


def spec_of(kind: str, **changes: Any) -> JobSpec:
    estimator = {"estimator": "tabular"} if kind == "hpo" else {}
    return JobSpec.parse({"kind": kind, "data": "/d.csv", "target": "y", **estimator, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_gives_the_pipeline_what_it_takes(kind: str) -> None:
    parameters = definitions_of(load_ir(COMPILED / f"{kind}.yaml").root)
    request = {**request_of_spec(spec_of(kind)), "job": "j"}
    assert set(request) == set(parameters)
    types = {"STRING": str, "NUMBER_INTEGER": int, "LIST": list}
    for name, definition in parameters.items():
        assert isinstance(request[name], types[definition["parameterType"]]), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_of_a_cluster_run_are_those_of_the_command_line(kind: str) -> None:
    parameters = definitions_of(load_ir(COMPILED / f"{kind}.yaml").root)
    defaults = {name: d["defaultValue"] for name, d in parameters.items() if "defaultValue" in d and name != "job"}
    needed = {name for name, d in parameters.items() if "defaultValue" not in d}
    assert needed == ({"estimator"} if kind == "hpo" else {"data", "target"})
    given = {"kind": kind, "data": "/d.csv", "target": "y", **({"estimator": "tabular"} if kind == "hpo" else {})}
    assert spec_of_request({**defaults, **given}) == spec_of(kind)


def test_a_spec_survives_the_way_through_a_run_s_parameters() -> None:
    spec = spec_of(
        "nocode", name="n", task="regression", objectives=("rmse", "latency_ms<=3.5"), trials=7, time_budget_s=1234567.5,
        workers=3, strategy={"evolution": {"population_size": 9}}, space={"a": {"type": "int", "range": [1, 3]}},
        wait="sync", trial_timeout_s=0.25, memory_mb=512, drop=("x",), categorical=("z",), delimiter=";", seed=5,
    )  # fmt: skip
    assert spec_of_request({**request_of_spec(spec), "kind": "nocode"}) == spec


def test_what_is_loaded_ahead_exists() -> None:
    assert [name for name in ALL if importlib.util.find_spec(name) is None] == []


def test_a_component_that_fails_ends_the_run_and_is_named(settings: Settings, store: Store, tmp_path: Path) -> None:
    """The file was there when the job was created and is gone now."""
    spec = spec_of("nocode", data=str(tmp_path / "gone.csv"))
    record = store.jobs.create("lost-1", name="lost", kind="nocode", spec=spec.model_dump())
    with pytest.raises(ComponentError, match=r"gone\.csv") as caught:
        run_job(record, settings)
    assert caught.value.component == "start"
    assert "Traceback" in caught.value.details
    assert store.jobs.get("lost-1").plan is None
    (run,) = (settings.job_path("lost-1") / "pipeline").iterdir()
    assert [path.name for path in run.iterdir() if path.is_dir()] == ["start"]
    assert "gone.csv" in (run / "start" / "log.txt").read_text()


def test_a_run_that_is_stopped_returns(settings: Settings, store: Store) -> None:
    record = store.jobs.create("never-1", name="never", kind="nocode", spec=spec_of("nocode").model_dump())
    stop = threading.Event()
    stop.set()
    run_job(record, settings, stop=stop)
    assert store.jobs.get("never-1").state == "queued"
