from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.runtime_suite import linear_model

from omniforge.components.deployment_estimator.dte import main, measure_model
from omniforge.data import PreparedData
from omniforge.deploy.devices import Device, add_device
from omniforge.settings import Settings
from omniforge.sidecar import Session, Sidecar, SidecarClient, TaskMessage
from omniforge.sidecar.device.agent import DeviceAgent


@pytest.fixture
def model(iris: PreparedData, tmp_path: Path) -> Path:
    """A linear model of the four columns of the iris data."""
    import numpy as np

    path = tmp_path / "model.onnx"
    path.write_bytes(linear_model(np.ones((4, 3), dtype=np.float32)))
    return path


@pytest.fixture
def payload(iris: PreparedData, tmp_path: Path) -> dict[str, Any]:
    return {"device": "local", "encoding": "onehot", "data_path": str(iris.root), "lock_dir": str(tmp_path / "locks")}


@pytest.fixture
def session(sidecar: Sidecar) -> Iterator[Session]:
    task = TaskMessage(job="job", task=1, estimator="tabular", config={})
    session = sidecar.open(task, on_progress=lambda step, metrics: False)
    yield session
    session.close()


@pytest.mark.parametrize("encoding", ["onehot", "ordinal", None])
def test_a_model_is_measured_on_real_rows(encoding: str | None, model: Path, payload: dict[str, Any]) -> None:
    report = measure_model(model, {**payload, "encoding": encoding})
    assert report["device"] == "local"
    assert report["metrics"]["latency_ms"] > 0
    assert report["metrics"]["model_bytes"] == model.stat().st_size
    assert list(Path(payload["lock_dir"]).iterdir())


def test_the_model_comes_from_the_sidecar_and_the_report_goes_there(
    session: Session, model: Path, payload: dict[str, Any]
) -> None:
    with SidecarClient(session.url, session.token) as client:
        client.put_model(model)
    main({**payload, "url": session.url, "token": session.token})
    (report,) = session.deployments
    assert (report["device"], report["runtime"]) == ("local", "onnxruntime")
    assert report["metrics"]["throughput_rps"] > 0


def test_a_device_that_is_not_in_the_book_any_more_is_reported_as_lost(
    session: Session, model: Path, payload: dict[str, Any]
) -> None:
    with SidecarClient(session.url, session.token) as client:
        client.put_model(model)
    main({**payload, "device": "locale", "url": session.url, "token": session.token})
    (report,) = session.deployments
    assert report["metrics"] == {}
    assert "'locale'" in report["lost"]


@pytest.fixture
def agent(settings: Settings, tmp_path: Path) -> Iterator[DeviceAgent]:
    """A device agent on this machine, in the device book as ``pi``."""
    folder = tmp_path / "agent"
    folder.mkdir()
    with DeviceAgent("kitchen", folder, token="secret") as agent:
        add_device(settings.home_path, Device("pi", url=agent.url, token="secret"))
        yield agent


@pytest.mark.service
def test_another_machine_measures_and_the_report_bears_its_name(
    agent: DeviceAgent, session: Session, model: Path, payload: dict[str, Any]
) -> None:
    with SidecarClient(session.url, session.token) as client:
        client.put_model(model)
    main({**payload, "device": "pi", "job": "job-1", "url": session.url, "token": session.token})
    (report,) = session.deployments
    assert (report["device"], report["runtime"]) == ("pi", "onnxruntime")
    assert report["metrics"]["latency_ms"] > 0
    assert "lost" not in report


@pytest.mark.fault
def test_a_device_that_is_away_is_reported_as_lost(
    agent: DeviceAgent, session: Session, model: Path, payload: dict[str, Any]
) -> None:
    agent.stop()
    with SidecarClient(session.url, session.token) as client:
        client.put_model(model)
    main({**payload, "device": "pi", "patience_s": 0.5, "url": session.url, "token": session.token})
    (report,) = session.deployments
    assert report["metrics"] == {}
    assert "'pi'" in report["lost"]


@pytest.mark.fault
def test_a_wrong_token_is_not_the_candidates_fault(
    settings: Settings, agent: DeviceAgent, session: Session, model: Path, payload: dict[str, Any]
) -> None:
    add_device(settings.home_path, Device("other", url=agent.url.replace("127.0.0.1", "localhost"), token="wrong"))
    with SidecarClient(session.url, session.token) as client:
        client.put_model(model)
    main({**payload, "device": "other", "url": session.url, "token": session.token})
    assert "token" in session.deployments[0]["lost"]
