"""``omniforge run`` and ``compile``; what is given wrongly is in ``test_bad_input.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from omniforge.pipelines import describe_pipeline

STATES = {"pending", "reserved", "running", "succeeded", "failed", "timeout", "cancelled"}
WORKER_STATES = ("starting", "idle", "busy", "stopped", "lost")
METRICS = {"accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss"}
MEASURED = {
    "latency_ms", "latency_p90_ms", "latency_p99_ms", "throughput_rps", "model_bytes", "peak_memory_mb", "cold_start_ms"
}  # fmt: skip


def utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0)
    return moment


def test_the_result_is_the_document_of_json_md(job: Any) -> None:
    """Key by key what ``docs/json.md`` promises."""
    document = job.document
    assert set(document) == {
        "id", "name", "kind", "state", "created_at", "best", "tasks", "workers", "objectives", "leaderboard", "pareto",
        "model", "report", "phases", "failures", "knee", "unmeasured", "reasons", "space", "started_at", "finished_at", "error",
    }  # fmt: skip
    assert document["id"].startswith("flowers-")
    assert (document["name"], document["kind"], document["state"]) == ("flowers", "nocode", "succeeded")
    assert utc(document["created_at"]) <= utc(document["started_at"]) <= utc(document["finished_at"])
    assert document["tasks"] == {**dict.fromkeys(STATES, 0), "succeeded": 5}
    assert document["phases"] == {"search": document["tasks"]}
    assert (document["model"], document["error"], document["failures"]) == ("flowers/1", None, [])
    assert Path(document["report"]) == job.home / "jobs" / document["id"] / "report.html"
    assert Path(document["report"]).is_file()
    assert document["objectives"] == [
        {"metric": "log_loss", "goal": "min", "device": None, "bound": None, "weight": 1.0, "key": "log_loss"},
        {"metric": "latency_ms", "goal": "min", "device": None, "bound": 1000.0, "weight": 1.0, "key": "latency_ms"},
    ]
    assert all(isinstance(reason, str) and reason.endswith(".") for reason in document["reasons"])
    assert len(document["reasons"]) >= 3


def test_the_leaderboard_has_the_rewards_of_every_task_best_first(job: Any) -> None:
    document = job.document
    board = document["leaderboard"]
    assert [set(row) for row in board] == [{"task", "config", "rewards", "device"}] * 5
    assert sorted(row["task"] for row in board) == [1, 2, 3, 4, 5]
    for row in board:
        assert set(row["rewards"]) == METRICS | MEASURED
        assert all(isinstance(value, float) for value in row["rewards"].values())
        assert row["config"]["algorithm"] in ("linear", "knn")
        assert row["device"] == "local"
    assert document["best"] == board[0]
    values = {row["task"]: (row["rewards"]["log_loss"], row["rewards"]["latency_ms"]) for row in board}
    beaten = {one for one, a in values.items() for b in values.values() if b != a and b[0] <= a[0] and b[1] <= a[1]}
    assert set(document["pareto"]) == set(values) - beaten
    assert document["best"]["task"] in document["pareto"]


def test_the_workers_have_ended(job: Any) -> None:
    workers = job.document["workers"]
    assert len(workers) >= 2
    for worker in workers:
        assert set(worker) == {"id", "pid", "host", "state", "heartbeat_age_s"}
        assert worker["state"] in WORKER_STATES
        assert worker["heartbeat_age_s"] >= 0
    assert {worker["state"] for worker in workers} == {"stopped"}


def test_progress_goes_to_standard_error_and_only_the_result_to_standard_output(job: Any) -> None:
    assert job.called.code == 0
    assert job.called.out.lstrip().startswith("{")
    lines = job.called.err.splitlines()
    assert any(job.document["id"] in line and "workers alive" in line for line in lines), job.called.err
    assert "Traceback" not in job.called.err


def test_what_is_written_stays_in_home(job: Any) -> None:
    assert {path.name for path in job.data.parent.iterdir()} == {"iris.csv", "space.yaml", "home"}
    folder = job.home / "jobs" / job.document["id"]
    assert not (folder / "scratch").exists()
    assert (folder / "pipeline").is_dir()
    assert len(list((folder / "tasks").glob("search-*.log"))) == 5


def test_compile_writes_what_ships(cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("compile", "nocode", "-o", tmp_path / "nocode.yaml", "--json")
    written = json.loads(called.out)
    assert written == {"pipeline": "nocode", "path": str(tmp_path / "nocode.yaml")}
    assert yaml.safe_load((tmp_path / "nocode.yaml").read_text())["pipelineInfo"]["name"] == "omniforge-nocode"
    assert "kfp pipeline create" in cli("compile", "nocode", "-o", tmp_path / "nocode.yaml").out


def test_compile_writes_a_resource(cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("compile", "hpo", "-o", tmp_path / "hpo.yaml", "--kubernetes")
    assert f"kubectl apply -f {tmp_path / 'hpo.yaml'}" in called.out.replace("\n", "")
    manifest = yaml.safe_load((tmp_path / "hpo.yaml").read_text())
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("PipelineVersion", "omniforge-hpo")


@pytest.mark.parametrize("name", ["nocode", "hpo"])
def test_compile_shows_the_tasks(name: str, cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("compile", name, "--show")
    assert "job estimator: search" in called.out
    both = json.loads(cli("compile", name, "--show", "-o", tmp_path / "p.yaml", "--json").out)
    assert both["tree"] == describe_pipeline(tmp_path / "p.yaml")


def test_compile_without_anything_to_do_is_refused(cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("compile", "nocode")
    assert called.code == 2
    assert "--show" in called.err
    assert cli("compile", "nocode", "-o", tmp_path / "nocode.json").code == 2
    assert list(tmp_path.glob("nocode*")) == []
