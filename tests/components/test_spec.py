from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniforge.components.spec import JobPlan, JobSpec, Phase, parse_duration
from omniforge.errors import SpecError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("500ms", 0.5), (None, None), ("", None)],
)
def test_durations(text: str | None, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-5m", "0", "5 parsecs"])
def test_a_wrong_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(SpecError, match=r"90s, 10m or 1\.5h"):
        parse_duration(text)


def test_a_spec_has_defaults_and_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = JobSpec.parse({"data": "a.csv", "target": "y"})
    assert spec.data == str(tmp_path / "a.csv")
    assert (spec.kind, spec.task, spec.trials, spec.strategy) == ("nocode", "auto", 50, "auto")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"target": "y"}, "data is missing"),
        ({"data": "a", "target": "y", "trails": 3}, "trails is not a setting of a job"),
        ({"data": "a", "target": "y", "trials": 0}, "trials = 0"),
        ({"data": "a", "target": "y", "task": "clustering"}, "task = 'clustering'"),
        ({"data": "a", "target": "y", "name": "a/b"}, "name = 'a/b'"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(values: dict[str, object], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        JobSpec.parse(values)
    assert expected in caught.value.message
    assert caught.value.exit_code == 2


def test_a_plan_survives_json() -> None:
    plan = JobPlan(
        task_type="classification", estimator="tabular", space={}, space_hash="h", objectives=[{"metric": "accuracy"}],
        phases=[Phase("search", 10, "auto", {"rounds": 5.0})], data_path="d", data_version="v", workers=2,
        memory_bytes=None, time_s=60.0, time_budget_s=None, lease_s=30.0, wait="adaptive", seed=0,
        final_fidelity=None, early_stopping=True, devices=[],
    )  # fmt: skip
    again = JobPlan.from_dict({**json.loads(json.dumps(plan.to_dict())), "a_later_field": 1})
    assert again == plan
    assert again.phase("search").trials == 10
    with pytest.raises(SpecError, match="no phase 'smoke'"):
        again.phase("smoke")


def test_what_an_npz_file_says_need_not_be_said() -> None:
    spec = JobSpec.parse({"data": "images.npz"})
    assert (spec.target, spec.estimator) == ("y", "image")
    assert JobSpec.parse({"data": "images.npz", "target": "label", "estimator": "mine"}).estimator == "mine"
    assert JobSpec.parse({"data": "images.npz", "target": "label"}).target == "label"
    assert JobSpec.parse({"kind": "hpo", "data": "images.npz", "estimator": "mine"}).target == "y"


def test_an_estimator_may_bring_its_own_data() -> None:
    spec = JobSpec.parse({"kind": "hpo", "estimator": "mine", "data": None})
    assert (spec.data, spec.target) == ("", "")
    for wrong in ({}, {"data": "", "target": "y"}, {"data": "a.csv", "target": ""}, {"data": "a.csv"}):
        with pytest.raises(SpecError):
            JobSpec.parse(wrong)
