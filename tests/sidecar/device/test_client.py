from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS

from omniforge.deploy import DEVICES, Device, MeasureOptions, RuntimeOptions
from omniforge.errors import MeasurementError, SpecError, UnknownNameError
from omniforge.sidecar import Sidecar
from omniforge.sidecar.device import AgentOptions, DeviceAgent, DeviceClient, DeviceError, DeviceLostError

TOKEN = "a-token-for-tests-only"
QUICK = MeasureOptions(budget_s=0.02, warmup_s=0.001)
LONG = MeasureOptions(budget_s=30, precision=1e-9)
Model = Callable[..., Path]


def test_the_device_is_described(client: DeviceClient) -> None:
    info = client.info()
    assert {"name", "version", "hardware", "runtimes", "meters", "limits", "queued"} == set(info)
    assert info["name"] == "pi"
    assert info["limits"]["max_upload_bytes"] == 200_000


def test_a_model_is_measured_on_the_device(client: DeviceClient, model_file: Model, rows: Any) -> None:
    report = client.measure(model_file(), rows, options=QUICK)
    assert report.device == "kitchen-pi"  # its name here, not what it calls itself
    assert report.runtime == "onnxruntime"
    assert report.metrics["latency_ms"] > 0
    assert report.metrics["model_bytes"] == model_file().stat().st_size


def test_the_options_travel(client: DeviceClient, model_file: Model, rows: Any) -> None:
    options = MeasureOptions(budget_s=0.02, batch=7, runtime=RuntimeOptions(threads=2, cpus=(0,)))
    report = client.measure(model_file(), rows, options=options, runtime="onnxruntime")
    assert (report.batch, report.threads) == (7, 2)


def test_asked_for_again_it_is_measured_again(client: DeviceClient, model_file: Model, rows: Any) -> None:
    first, second = (client.measure(model_file(), rows, options=QUICK) for _ in range(2))
    assert first != second


def test_what_was_uploaded_once_is_not_sent_again(
    client: DeviceClient, agent: DeviceAgent, model_file: Model, rows: Any
) -> None:
    path = model_file(scale=5.0)
    client.measure(path, rows, options=QUICK)
    kept = agent._folder / "uploads" / hashlib.sha256(path.read_bytes()).hexdigest()
    inode = kept.stat().st_ino
    client.measure(path, rows, options=QUICK)
    assert kept.stat().st_ino == inode


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((4, 5), dtype=np.float32), "On device 'kitchen-pi': The rows do not fit the model"),
        (np.zeros(3), "expected numbers, n x the shape of a row"),
        (np.zeros((0, 3)), "expected numbers"),
        (np.array([["a", "b", "c"]]), "expected numbers"),
    ],
)
def test_rows_that_do_not_fit_are_the_callers_fault(
    client: DeviceClient, model_file: Model, rows: Any, words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        client.measure(model_file(), rows, options=QUICK)


def test_a_model_that_is_to_blame(client: DeviceClient, model_file: Model, rows: Any) -> None:
    with pytest.raises(MeasurementError, match=r"On device 'kitchen-pi': .*NaN") as caught:
        client.measure(model_file(weights=np.full_like(WEIGHTS, np.nan)), rows, options=QUICK)
    assert not caught.value.retryable


@pytest.mark.parametrize("what", ["model", "rows"])
def test_what_is_larger_than_the_device_takes(client: DeviceClient, model_file: Model, rows: Any, what: str) -> None:
    model = model_file()
    if what == "model":
        model.write_bytes(b"x" * 200_001)
    else:
        rows = np.zeros((20_000, 3), dtype=np.float32)
    with pytest.raises(MeasurementError, match="takes 200000") as caught:
        client.measure(model, rows)
    assert not caught.value.retryable
    assert "--max-upload-mb" in str(caught.value.hint)


def test_what_cannot_be_sent_is_said_before_it_is(
    client: DeviceClient, model_file: Model, rows: Any, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="is no file"):
        client.measure(tmp_path / "none.onnx", rows)
    with pytest.raises(UnknownNameError, match="abacus"):
        client.measure(model_file(), rows, runtime="abacus")
    with pytest.raises(SpecError, match="cannot be sent"):
        client.measure(model_file(), rows, options=MeasureOptions(runtime=RuntimeOptions(extra={"a": object()})))
    model_file().with_name("model.onnx.data").touch()
    with pytest.raises(SpecError, match="takes one file"):
        client.measure(model_file(), rows)


def test_a_measurement_can_be_cancelled(client: DeviceClient, model_file: Model, rows: Any) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with pytest.raises(MeasurementError, match="cancelled") as caught:
        client.measure(model_file(), rows, options=MeasureOptions(budget_s=30, precision=1e-9), cancelled=cancelled)
    assert caught.value.retryable
    assert client.measure(model_file(), rows, options=QUICK).repeats > 0  # the device is free


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def measuring(agent: DeviceAgent) -> bool:
    work = agent._folder / "work"
    return work.exists() and any(work.iterdir())


@pytest.mark.parametrize("how", ["event", "close"])
def test_whoever_is_told_to_stop_does_so_at_once_and_frees_the_device(
    agent: DeviceAgent, device: Device, model_file: Model, rows: Any, how: str
) -> None:
    client, cancelled, ended = DeviceClient(device, client_name="job", patience_s=60), threading.Event(), []

    def measure() -> None:
        try:
            client.measure(model_file(), rows, options=LONG, cancelled=cancelled)
        except MeasurementError as e:
            ended.append(e.message)

    thread = threading.Thread(target=measure)
    thread.start()
    until(lambda: measuring(agent))
    before_s = time.monotonic()
    cancelled.set() if how == "event" else client.close()
    thread.join(5)
    assert time.monotonic() - before_s < 1
    assert ended == ["The measurement was cancelled."]
    until(lambda: not measuring(agent))
    client.close()


def test_one_that_hangs_is_lost_when_patience_ends(hung: Device, model_file: Model, rows: Any) -> None:
    before_s = time.monotonic()
    with DeviceClient(hung, client_name="job", patience_s=0.4) as client:
        with pytest.raises(DeviceLostError):
            client.limits()
        with pytest.raises(DeviceLostError):
            client.measure(model_file(), rows)
    assert time.monotonic() - before_s < 2


def test_one_that_hangs_can_be_given_up_at_once(hung: Device, model_file: Model, rows: Any) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    before_s = time.monotonic()
    with (
        DeviceClient(hung, client_name="job", patience_s=60) as client,
        pytest.raises(MeasurementError, match="cancelled"),
    ):
        client.measure(model_file(), rows, cancelled=cancelled)
    assert time.monotonic() - before_s < 1


def test_a_client_that_waits_is_not_taken_for_one_that_has_gone(tmp_path: Path, model_file: Model, rows: Any) -> None:
    options = AgentOptions(abandon_s=0.3)
    with DeviceAgent("pi", tmp_path / "agent", token=TOKEN, options=options) as agent:
        device = Device("pi", url=agent.url, token=TOKEN)
        with DeviceClient(device, client_name="job", patience_s=10) as client:
            assert client.measure(model_file(), rows, options=replace(QUICK, budget_s=0.6, precision=1e-9)).repeats > 0


def test_what_is_no_agent_is_said() -> None:
    with (
        Sidecar() as other,
        DeviceClient(Device("pi", url=other.url, token="x"), client_name="a") as client,
        pytest.raises(DeviceError),
    ):
        client.limits()


def test_this_machine_needs_no_client() -> None:
    with pytest.raises(SpecError, match="it has no agent"):
        DeviceClient(DEVICES["local"], client_name="job")


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_client_has_a_name(device: Device, name: str) -> None:
    with pytest.raises(SpecError, match="client_name"):
        DeviceClient(device, client_name=name)
