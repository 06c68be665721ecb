from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from omniforge.components.document import job_document, job_summary, objectives_of
from omniforge.components.spec import JobPlan, Phase
from omniforge.search import Objective
from omniforge.store import JobRecord, Store, TaskRecord

SUMMARY = {"id", "name", "kind", "state", "created_at", "best", "tasks"}
DOCUMENT = SUMMARY | {
    "workers", "objectives", "leaderboard", "pareto", "model", "report", "phases", "failures", "reasons", "started_at",
    "finished_at", "error", "space", "knee", "unmeasured",
}  # fmt: skip
STATES = {"pending", "reserved", "running", "succeeded", "failed", "timeout", "cancelled"}


@pytest.fixture
def job(
    store: Store,
    make_plan: Callable[..., JobPlan],
    make_job: Callable[..., JobRecord],
    add_task: Callable[..., TaskRecord],
) -> JobRecord:
    """A job in its search: two good tasks, one that failed, one that waits, and one of an earlier phase."""
    objectives = [{"metric": "accuracy", "goal": "max"}, {"metric": "latency_ms", "goal": "min", "bound": 5.0}]
    phases = [Phase("smoke", 2, "random", None), Phase("search", 8, "random", None)]
    job = make_job(make_plan(objectives=objectives, phases=phases, reasons=["Because."]))
    add_task(phase="smoke", rewards={"accuracy": 1.0, "latency_ms": 0.1})
    add_task(strength=2.0, rewards={"accuracy": 0.8, "latency_ms": 1.0})
    add_task(strength=3.0, rewards={"accuracy": 0.9, "latency_ms": 2.0})
    failed = store.broker.start(add_task("refuse", reserve=True))
    store.broker.report(failed, "failed", cause="exception", message="I would rather not")
    add_task()
    store.workers.register("w", job_id="job", pid=42, host="here")
    return job


def test_a_summary_is_what_the_documentation_says(store: Store, job: JobRecord) -> None:
    summary = job_summary(store, job)
    assert set(summary) == SUMMARY
    assert summary["tasks"] == {**dict.fromkeys(STATES, 0), "succeeded": 2, "failed": 1, "pending": 1}
    assert summary["best"]["rewards"].keys() == {"accuracy", "latency_ms"}
    assert (summary["id"], summary["name"], summary["kind"], summary["state"]) == ("job", "probe", "nocode", "running")
    assert summary["created_at"].endswith("+00:00")


def test_a_document_is_what_the_documentation_says(store: Store, job: JobRecord) -> None:
    document = job_document(store, job)
    assert set(document) == DOCUMENT
    assert document == json.loads(json.dumps(document))
    assert {key: document[key] for key in SUMMARY} == job_summary(store, job)
    (worker,) = document["workers"]
    assert worker.keys() == {"id", "pid", "host", "state", "heartbeat_age_s"}
    assert (worker["id"], worker["pid"], worker["state"]) == ("w", 42, "starting")
    assert 0 <= worker["heartbeat_age_s"] < 60
    assert [objective["key"] for objective in document["objectives"]] == ["accuracy", "latency_ms"]
    assert document["objectives"][1]["bound"] == 5.0
    assert {row["task"] for row in document["leaderboard"]} == {2, 3}
    assert document["leaderboard"][0] == document["best"]
    assert document["pareto"] == [3, 2]
    assert {name: sum(counts.values()) for name, counts in document["phases"].items()} == {"smoke": 1, "search": 4}
    assert document["failures"] == [
        {"task": 4, "state": "failed", "cause": "exception", "message": "I would rather not", "attempt": 1,
         "config": {"act": "refuse", "strength": 1.0}}
    ]  # fmt: skip
    assert document["reasons"] == ["Because."]
    assert (document["model"], document["report"], document["finished_at"], document["error"]) == (None,) * 4


def test_the_leaderboard_can_be_cut(store: Store, job: JobRecord) -> None:
    cut = job_document(store, job, top=1)
    assert len(cut["leaderboard"]) == 1
    assert cut["pareto"] == [3, 2]


def test_a_job_without_a_plan_and_one_that_has_ended(store: Store, make_job: Callable[..., JobRecord]) -> None:
    bare = job_document(store, make_job())
    assert (bare["best"], bare["objectives"], bare["leaderboard"], bare["phases"]) == (None, [], [], {})
    ended = store.jobs.finish("job", "failed", result={"model": "m/1", "report": "r.html"}, error="No task succeeded.")
    document: dict[str, Any] = job_document(store, ended)
    assert (document["state"], document["error"]) == ("failed", "No task succeeded.")
    assert (document["model"], document["report"]) == ("m/1", "r.html")
    assert document["finished_at"] >= document["started_at"]


def test_objectives_come_from_the_plan(job: JobRecord) -> None:
    assert objectives_of(job) == [Objective("accuracy", "max"), Objective("latency_ms", "min", bound=5.0)]
