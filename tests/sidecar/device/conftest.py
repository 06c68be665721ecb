"""A device agent in this process, and what talks to it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conformance.runtime_suite import linear_model

from omniforge.deploy import Device
from omniforge.sidecar.device import AgentOptions, DeviceAgent, DeviceClient

TOKEN = "a-token-for-tests-only"
LIMIT = 200_000


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceAgent]:
    options = AgentOptions(max_upload_bytes=LIMIT, time_limit_s=20.0)
    with DeviceAgent("pi", tmp_path_factory.mktemp("agent"), token=TOKEN, options=options) as agent:
        yield agent


@pytest.fixture
def device(agent: DeviceAgent) -> Device:
    return Device("kitchen-pi", url=agent.url, token=TOKEN)


@pytest.fixture
def client(device: Device) -> Iterator[DeviceClient]:
    with DeviceClient(device, client_name="job", patience_s=2.0) as client:
        yield client


@pytest.fixture
def http(agent: DeviceAgent) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=agent.url, headers=headers, trust_env=False, timeout=20) as http:
        yield http


@pytest.fixture
def hung() -> Iterator[Device]:
    """A device that takes connections and never answers, as one whose process is stopped or whose plug was pulled."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield Device("kitchen-pi", url=f"http://127.0.0.1:{listener.getsockname()[1]}", token=TOKEN)


@pytest.fixture
def rows() -> Any:
    return np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


@pytest.fixture
def model_file(tmp_path: Path) -> Callable[..., Path]:
    def model_file(scale: float = 1.0, **rest: Any) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(linear_model(**rest) if rest else linear_model(np.full((3, 2), scale, dtype=np.float32)))
        return path

    return model_file
