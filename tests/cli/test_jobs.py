"""``omniforge jobs``, on the job of ``conftest.py``; resuming and cancelling what runs is in ``tests/faults``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.search import SearchSpace
from omniforge.store import open_store

SUMMARY = ["id", "name", "kind", "state", "created_at", "best", "tasks"]


def without_ages(document: dict[str, Any]) -> dict[str, Any]:
    """Return a job's document without what grows by itself."""
    workers = [{key: value for key, value in one.items() if key != "heartbeat_age_s"} for one in document["workers"]]
    return {**document, "workers": workers}


def test_show_prints_what_the_run_ended_with(job: Any, cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("jobs", "show", job.document["id"], "--json")
    assert called.code == 0
    assert called.err == ""
    assert without_ages(json.loads(called.out)) == without_ages(job.document)
    assert json.loads(called.out)["workers"][0]["heartbeat_age_s"] > job.document["workers"][0]["heartbeat_age_s"]


def test_watch_ends_with_the_same(job: Any, cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("jobs", "watch", job.document["id"], "--json")
    assert without_ages(json.loads(called.out)) == without_ages(job.document)


def test_list_has_the_summaries(job: Any, cli_of_job: Callable[..., Any]) -> None:
    found = json.loads(cli_of_job("jobs", "list", "--json").out)
    assert found == [{key: job.document[key] for key in SUMMARY}]
    assert list(found[0]) == SUMMARY


def test_show_and_list_are_readable(job: Any, cli_of_job: Callable[..., Any]) -> None:
    document = job.document
    shown = cli_of_job("jobs", "show", document["id"]).out
    for part in ("5 succeeded", "log_loss ↓", "latency_ms ↓", "linear", document["report"], "flowers/1"):
        assert part in shown
    listed = cli_of_job("jobs", "list").out
    assert document["id"] in listed
    assert "succeeded" in listed


def test_the_space_of_a_job_that_has_not_ended_is_edited(
    job: Any, cli: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    plan = copied_plan(job)
    with open_store(f"sqlite:///{home / 'omniforge.db'}") as store:
        store.jobs.create("live", name="live", kind="hpo", spec={})
        store.jobs.set_plan("live", plan)
    setting = "algorithm.linear.regularization.range=[0.001, 1000]"
    seen = cli("jobs", "edit-space", "live", "--set", setting, "--preview")
    assert "[0.01, 100] -> [0.001, 1000]" in seen.out
    assert "would become version 2" in seen.out
    assert json.loads(cli("jobs", "show", "live", "--json").out)["space"]["version"] == 1
    done = json.loads(cli("jobs", "edit-space", "live", "--set", setting, "--json").out)
    assert (done["version"], done["changed"], done["kept"], done["outside"]) == (2, True, 0, 0)
    assert json.loads(cli("jobs", "show", "live", "--json").out)["space"] == {"version": 2, "hash": done["hash"]}
    assert "version 2" in cli("jobs", "show", "live").out
    file = tmp_path / "space.yaml"  # as the advisor writes one
    with open_store(f"sqlite:///{home / 'omniforge.db'}") as store:
        space = SearchSpace.from_dict((store.jobs.get("live").plan or {})["space"])
    file.write_text(space.edit("algorithm.knn.n_neighbors", range=[1, 40]).to_yaml())
    again = cli("jobs", "edit-space", "live", "--space", file)
    assert "version 3" in again.out
    assert "No difference" in cli("jobs", "edit-space", "live", "--space", file).out


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "no change"), (["--set", "rate"], "which key"), (["--set", "algorith.range=[knn]"], "'algorithm'"),
     (["--remove", "nothing"], "no parameter 'nothing'")],
)  # fmt: skip
def test_an_edit_that_cannot_be_done_is_explained(
    options: list[str], said: str, job: Any, cli: Callable[..., Any], home: Path
) -> None:
    with open_store(f"sqlite:///{home / 'omniforge.db'}") as store:
        store.jobs.create("live", name="live", kind="hpo", spec={})
        store.jobs.set_plan("live", copied_plan(job))
    called = cli("jobs", "edit-space", "live", *options)
    assert called.code == 2
    assert said in called.err


def copied_plan(job: Any) -> dict[str, Any]:
    """Return the plan of the job that has run."""
    with open_store(f"sqlite:///{job.home / 'omniforge.db'}") as store:
        return store.jobs.get(job.document["id"]).plan or {}


@pytest.mark.parametrize("command", ["resume", "cancel"])
def test_a_job_that_is_done_is_left_alone(command: str, job: Any, cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("jobs", command, job.document["id"])
    assert called.code == 2
    assert "has succeeded" in called.err
    assert json.loads(cli_of_job("jobs", "show", job.document["id"], "--json").out)["state"] == "succeeded"


def test_an_id_that_is_nearly_right_is_suggested(job: Any, cli_of_job: Callable[..., Any]) -> None:
    called = cli_of_job("jobs", "show", job.document["id"][:-1])
    assert called.code == 2
    assert job.document["id"] in called.err


def test_a_job_that_waits_can_be_cancelled(cli: Callable[..., Any], home: Path) -> None:
    assert "No jobs yet" in cli("jobs", "list").out
    with open_store(f"sqlite:///{home / 'omniforge.db'}") as store:
        for name in ("first", "second"):
            store.jobs.create(name, name=name, kind="hpo", spec={})
    document = json.loads(cli("jobs", "cancel", "first", "--json").out)
    assert (document["state"], document["leaderboard"], document["model"]) == ("cancelled", [], None)
    states = {one["id"]: one["state"] for one in json.loads(cli("jobs", "list", "--json").out)}
    assert states == {"second": "queued", "first": "cancelled"}
    assert [one["id"] for one in json.loads(cli("jobs", "list", "--limit", "1", "--json").out)] == ["second"]
    assert "resume first" in cli("jobs", "cancel", "second").out.replace("resume second", "resume first")
