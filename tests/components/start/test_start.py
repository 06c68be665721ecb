from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.spec import JobPlan, JobSpec
from omniforge.components.start.start import begin, create_job, request_of_spec, spec_of_request
from omniforge.errors import DataError, RecordNotFoundError, SpecError
from omniforge.settings import Settings
from omniforge.store import Store

NOT_GIVEN: dict[str, Any] = {
    "name": "", "task": "auto", "objectives": [], "trials": 0, "time_budget": "", "workers": 0, "strategy": "auto",
    "space": "", "wait": "adaptive", "trial_timeout": "", "memory_mb": 0, "drop": [], "categorical": [],
    "delimiter": "", "seed": 0,
}  # fmt: skip


@pytest.fixture
def request_of_probe(probe: Path, iris_csv: Path) -> dict[str, Any]:
    return {
        **NOT_GIVEN, "kind": "hpo", "data": str(iris_csv), "target": "species", "estimator": str(probe),
        "trials": 6, "workers": 2, "strategy": "random", "memory_mb": 128,
    }  # fmt: skip


def test_a_pipeline_run_of_its_own_makes_its_job(store: Store, request_of_probe: dict[str, Any]) -> None:
    started = begin("", **request_of_probe)
    job = store.jobs.get(started.job)
    assert started.workers == [0, 1]
    assert job.id.startswith("iris-")
    assert (job.state, job.kind) == ("running", "hpo")
    plan = JobPlan.from_dict(job.plan or {})
    assert [phase.name for phase in plan.phases] == ["smoke", "default", "search"]
    (event,) = [event for event in store.events.since(job.id) if event.kind == "started"]
    assert event.payload == {"workers": 2, "reasons": plan.reasons}


def test_a_job_that_is_there_keeps_its_spec_and_its_plan(store: Store, request_of_probe: dict[str, Any]) -> None:
    job = create_job(store, spec_of_request({**request_of_probe, "name": "mine"}))
    assert (job.name, job.state, job.plan) == ("mine", "queued", None)
    assert job.id.startswith("mine-")
    begin(job.id, **request_of_probe)
    first = store.jobs.get(job.id)
    store.jobs.finish(job.id, "failed", error="interrupted")
    assert begin(job.id, **{**request_of_probe, "workers": 1, "data": "gone.csv"}).workers == [0, 1]
    again = store.jobs.get(job.id)
    assert (again.state, again.error) == ("running", None)
    assert again.plan == first.plan


@pytest.mark.parametrize(
    ("data", "name"),
    [("/data/churn 2024 (v2).csv.gz", "churn-2024-v2"), ("s3://bucket/a/b.parquet", "b"), ("/data/数据.csv", "nocode")],
)
def test_a_job_without_a_name_is_called_like_its_data(store: Store, data: str, name: str) -> None:
    job = create_job(store, JobSpec(data=data, target="y"))
    assert job.name == name
    assert job.id.startswith(f"{name}-")


def test_what_cannot_be_used_is_refused_before_it_runs(store: Store, request_of_probe: dict[str, Any]) -> None:
    with pytest.raises(RecordNotFoundError, match="'nothing'"):
        begin("nothing", **request_of_probe)
    with pytest.raises(DataError, match="speces"):
        begin("", **{**request_of_probe, "target": "speces"})
    assert store.jobs.list() == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"time_budget_s": 1_234_567.5, "trial_timeout_s": 0.25, "workers": 3, "memory_mb": 512, "delimiter": ";"},
        {"strategy": {"evolution": {"population_size": 20}}, "objectives": ("accuracy", "latency_ms<=5")},
        {"space": {"act": {"type": "choice", "range": ["fit"]}}, "drop": ("a", "b"), "categorical": ("c",), "seed": 7},
    ],
)
def test_a_spec_survives_the_parameters_of_a_pipeline(changes: dict[str, Any], tmp_path: Path) -> None:
    spec = JobSpec.parse({"data": str(tmp_path / "a.csv"), "target": "y", "name": "n", **changes})
    again = spec_of_request({"kind": spec.kind, **request_of_spec(spec)})
    assert again == spec.model_copy(update={"space": again.space})
    if spec.space is not None:
        assert again.space is not None
        assert again.space["act"]["range"] == ["fit"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("time_budget", "soon", "time budget 'soon'"),
        ("trial_timeout", "-1s", "trial timeout '-1s'"),
        ("strategy", '{"evolution": ', "is not JSON"),
        ("trials", -1, "trials = -1"),
    ],
)
def test_a_wrong_parameter_is_named(
    field: str, value: object, says: str, request_of_probe: dict[str, Any], settings: Settings
) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of_request({**request_of_probe, field: value})
    assert says in caught.value.message


def test_text_and_zero_mean_not_given(make_plan: Callable[..., JobPlan], tmp_path: Path) -> None:
    spec = spec_of_request({**NOT_GIVEN, "data": str(tmp_path / "a.csv"), "target": "y"})
    assert spec == JobSpec.parse({"data": str(tmp_path / "a.csv"), "target": "y"})
