"""The Python client, on one small job that has run and one that is interrupted on its way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omniforge.client import Client
from omniforge.errors import DataError, RecordNotFoundError, SpecError, UnknownNameError
from omniforge.settings import Settings

PROBE = Path(__file__).parent / "components" / "probe"
SPACE = {
    "act": {"type": "choice", "range": ["fit"]},
    "strength": {"type": "float", "range": [0.01, 100.0], "log": True},
}
PATIENCE_S = 120


@dataclass(frozen=True)
class Ran:
    """A job that has run to its end, and what was heard of it on the way."""

    client: Client
    document: dict[str, Any]
    updates: list[dict[str, Any]]


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    path = tmp_path_factory.mktemp("data") / "iris.csv"
    data.data.assign(species=data.target_names[data.target]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OMNIFORGE_")]:
            patch.delenv(name)
        yield Client(Settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def spec(iris: Path) -> dict[str, Any]:
    return {
        "kind": "hpo", "data": str(iris), "target": "species", "estimator": str(PROBE), "space": SPACE, "trials": 4,
        "workers": 2, "strategy": "random", "objectives": ("accuracy", "latency_ms"), "name": "flowers",
    }  # fmt: skip


@pytest.fixture(scope="module")
def ran(client: Client, spec: dict[str, Any]) -> Ran:
    """An HPO job of two objectives; about ten seconds."""
    updates: list[dict[str, Any]] = []
    document = client.run(spec, on_update=updates.append)
    return Ran(client, document, updates)


def without_ages(document: dict[str, Any]) -> dict[str, Any]:
    workers = [{**worker, "heartbeat_age_s": None} for worker in document["workers"]]
    return {**document, "workers": workers}


def test_a_job_runs_to_its_end(ran: Ran) -> None:
    done = ran.document
    assert (done["state"], done["kind"], done["model"], done["error"]) == ("succeeded", "hpo", "flowers/1", None)
    assert {name: counts["succeeded"] for name, counts in done["phases"].items()} == {
        "smoke": 2,
        "default": 1,
        "search": 4,
    }
    assert len(done["leaderboard"]) == 4
    assert all(row["rewards"].keys() >= {"accuracy", "latency_ms"} for row in done["leaderboard"])
    assert done["best"] == done["leaderboard"][0]
    assert Path(done["report"]).is_file()
    assert not (ran.client.settings.job_path(done["id"]) / "scratch").exists()


def test_whoever_asked_hears_of_it_on_the_way(ran: Ran) -> None:
    assert ran.updates[0]["state"] in ("queued", "running")
    assert ran.updates[-1] == ran.document
    assert {update["id"] for update in ran.updates} == {ran.document["id"]}


def test_it_can_be_looked_at_afterwards(ran: Ran) -> None:
    job_id = ran.document["id"]
    assert without_ages(ran.client.show(job_id)) == without_ages(ran.document)
    assert len(ran.client.show(job_id, top=2)["leaderboard"]) == 2
    (summary,) = [job for job in ran.client.jobs() if job["id"] == job_id]
    assert {key: ran.document[key] for key in summary} == summary
    (watched,) = ran.client.watch(job_id)
    assert without_ages(watched) == without_ages(ran.document)
    with pytest.raises(RecordNotFoundError, match="flowers"):
        ran.client.show(f"{job_id}x")


def test_what_is_done_is_left_alone(ran: Ran) -> None:
    for steer in (ran.client.resume, ran.client.cancel):
        with pytest.raises(SpecError, match="has succeeded"):
            steer(ran.document["id"])


def test_its_model_predicts(ran: Ran, iris: Path) -> None:
    frame = pd.read_csv(iris)
    for name in ("flowers", "flowers/1", "flowers@champion"):
        assert ran.client.model(name).lineage["job_id"] == ran.document["id"]
    predicted = ran.client.predict("flowers", frame.drop(columns=["species"]))
    assert list(predicted) == ["prediction", "proba_setosa", "proba_versicolor", "proba_virginica"]
    assert (predicted["prediction"] == frame["species"]).mean() > 0.8
    with pytest.raises(UnknownNameError, match="'flowers'"):
        ran.client.model("flower")


def test_a_request_that_cannot_be_used_leaves_no_job(client: Client, spec: dict[str, Any]) -> None:
    before = client.jobs()
    with pytest.raises(DataError, match="'species'"):
        client.run({**spec, "target": "speces"})
    with pytest.raises(SpecError, match="trials = 0"):
        client.run({**spec, "trials": 0})
    assert client.jobs() == before


@pytest.mark.slow
def test_a_job_is_run_by_one_alone_is_cancelled_and_resumed(client: Client, spec: dict[str, Any]) -> None:
    known = {job["id"] for job in client.jobs()}
    trials = 40
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.run, {**spec, "trials": trials, "name": "other", "objectives": ("accuracy",)})
        job_id = _new_job(client, known)
        seen: list[dict[str, Any]] = []
        for document in client.watch(job_id):
            seen.append(document)
            if document["state"] == "running" and document["tasks"]["succeeded"] >= 2:
                with pytest.raises(SpecError, match=f"is being run by process {os.getpid()}"):
                    client.resume(job_id)
                assert client.cancel(job_id)["state"] == "cancelled"
        cancelled = running.result(PATIENCE_S)
    assert seen[0]["state"] in ("queued", "running")
    assert seen[-1]["state"] == "cancelled"
    assert (cancelled["state"], cancelled["model"]) == ("cancelled", None)
    assert 2 <= cancelled["tasks"]["succeeded"] < trials
    assert cancelled["tasks"]["pending"] == cancelled["tasks"]["reserved"] == cancelled["tasks"]["running"] == 0

    kept = {row["task"]: row["rewards"] for row in cancelled["leaderboard"]}
    resumed = client.resume(job_id)
    assert (resumed["state"], resumed["model"]) == ("succeeded", "other/1")
    assert resumed["tasks"]["succeeded"] == trials
    assert {row["task"]: row["rewards"] for row in resumed["leaderboard"] if row["task"] in kept} == kept


def _new_job(client: Client, known: set[str]) -> str:
    """Return the job that has just been recorded."""
    deadline = time.monotonic() + PATIENCE_S
    while not (new := {job["id"] for job in client.jobs()} - known):
        assert time.monotonic() < deadline, "no job is recorded"
        time.sleep(0.02)
    return str(new.pop())
