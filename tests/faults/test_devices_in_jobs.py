"""Whole jobs whose candidates another machine measures: it stays, or it goes in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniforge.client import Client
from omniforge.deploy.devices import Device, add_device
from omniforge.settings import Settings
from omniforge.sidecar.device.agent import DeviceAgent

BUNDLE = Path(__file__).parents[1] / "components" / "probe"
pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    from sklearn.datasets import load_iris

    path = tmp_path / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    return path


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("OMNIFORGE_HOME", str(tmp_path / "home"))
    return Client(Settings(home=tmp_path / "home"))


@pytest.fixture
def agent(client: Client, tmp_path: Path) -> Iterator[DeviceAgent]:
    folder = tmp_path / "agent"
    folder.mkdir()
    with DeviceAgent("kitchen", folder, token="secret") as agent:
        add_device(client.settings.home_path, Device("pi", url=agent.url, token="secret"))
        yield agent


def spec(data: Path, **changes: Any) -> dict[str, Any]:
    space = {
        "act": {"type": "constant", "value": "fit"},
        "strength": {"type": "float", "range": [0.01, 100.0], "log": True},
    }
    return {
        "kind": "hpo", "estimator": str(BUNDLE), "data": str(data), "target": "target", "space": space, "trials": 4,
        "workers": 1, "strategy": "random", "objectives": ("accuracy", "latency_ms@pi"), **changes,
    }  # fmt: skip


def test_a_job_on_a_device_ends_with_a_model_that_was_measured_there(
    client: Client, agent: DeviceAgent, data: Path
) -> None:
    document = client.run(spec(data))
    assert document["state"] == "succeeded"
    assert document["unmeasured"] == []
    assert document["knee"]["reason"]
    assert all(row["rewards"]["latency_ms@pi"] > 0 for row in document["leaderboard"])
    version = client.model(document["model"])
    assert version.metrics["latency_ms@pi"] > 0
    assert "secret" not in str(dict(version.lineage))


def test_a_device_that_goes_in_the_middle_costs_its_metric_and_not_the_job(
    client: Client, agent: DeviceAgent, data: Path
) -> None:
    gone = threading.Event()

    def watch(document: dict[str, Any]) -> None:
        if document["phases"].get("search", {}).get("succeeded", 0) >= 2 and not gone.is_set():
            gone.set()
            agent.stop()

    document = client.run(spec(data, trials=6), on_update=watch)
    assert gone.is_set()
    assert document["state"] == "succeeded"
    assert document["model"]
    lost = [task for task in document["unmeasured"] if task["cause"] == "device_lost"]
    assert lost
    assert document["failures"] == []
    assert len(document["leaderboard"]) + len(lost) == 6
