"""Devices that fail in every way that devices fail: the agent's real process, killed, cut off, overfed and misused."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model
from faults.served import LONG, QUICK, ROWS, TOKEN, Doing, Served, mischief, model_file, serving, wait_for

from omniforge.deploy import Device
from omniforge.errors import MeasurementError
from omniforge.sidecar.device import AgentOptions, DeviceAgent, DeviceClient, DeviceError, DeviceLostError
from omniforge.sidecar.device.joining import reach

pytestmark = pytest.mark.fault

LIMIT_MB = 100


def client_of(device: Device, name: str = "job", patience_s: float = 20.0) -> DeviceClient:
    return DeviceClient(device, client_name=name, patience_s=patience_s)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An agent that survives whatever the tests do to it; none of them ends it."""
    folder = tmp_path_factory.mktemp("device")
    limits = ["--max-upload-mb", LIMIT_MB, "--time-limit", 4, "--memory-mb", 300]
    with serving(folder / "home", *limits, **mischief(folder / "site")) as served:
        yield served
        assert served.process.poll() is None, "".join(served.said)


@pytest.fixture
def client(served: Served) -> Iterator[DeviceClient]:
    with client_of(served.device) as client:
        yield client


def test_killed_during_a_measurement_and_started_again_it_goes_on(tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx")
    (tmp_path / "tmp").mkdir()
    with (
        serving(tmp_path / "home", TMPDIR=str(tmp_path / "tmp")) as served,
        client_of(served.device) as client,
    ):
        asked = Doing(lambda: client.measure(model, ROWS, options=LONG))
        measuring = served.until_it_measures()
        uploads = {path.name: path.stat().st_mtime_ns for path in (served.home / "device" / "uploads").iterdir()}
        inodes = {path.name: path.stat().st_ino for path in (served.home / "device" / "uploads").iterdir()}
        served.kill()
        wait_for(lambda: not any(process.is_running() and process.status() != "zombie" for process in measuring))
        served.start()
        report = asked.result()
        assert report.metrics["latency_ms"] > 0
        assert report.device == "kitchen-pi"
        assert len(uploads) == 2
        after = {path.name: path.stat().st_ino for path in (served.home / "device" / "uploads").iterdir()}
        assert after == inodes  # nothing was sent again
        assert len(list((served.home / "device" / "work").iterdir())) <= 1  # what the kill left is gone
        assert not list((tmp_path / "tmp").glob("omniforge-*"))
        assert (served.home / "locks").is_dir()  # where jobs and `omniforge bench` on this machine look
        assert not (served.home / "device" / "locks").exists()
        assert served.stop() == 0


def test_killed_and_not_started_again_it_is_lost(tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx")
    with serving(tmp_path / "home") as served, client_of(served.device, patience_s=1.0) as client:
        asked = Doing(lambda: client.measure(model, ROWS, options=LONG))
        served.until_it_measures()
        served.kill()
        killed_s = time.monotonic()
        with pytest.raises(DeviceLostError, match=r"'kitchen-pi'.*does not answer") as caught:
            asked.result()
        assert time.monotonic() - killed_s < 10
        assert caught.value.retryable
        assert "device serve" in str(caught.value.hint)


def test_one_that_hangs_during_a_measurement_is_lost_when_patience_ends(tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx")
    with serving(tmp_path / "home") as served, client_of(served.device, patience_s=1.0) as client:
        asked = Doing(lambda: client.measure(model, ROWS, options=LONG))
        served.until_it_measures()
        served.process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        try:
            with pytest.raises(DeviceLostError, match="does not answer"):
                asked.result()
            assert time.monotonic() - stopped_s < 3
            assert [one.state for one in reach([served.device])] == ["unreachable"]
            assert time.monotonic() - stopped_s < 6
        finally:
            served.process.send_signal(signal.SIGCONT)


def test_a_client_that_is_killed_leaves_the_device_to_others(tmp_path: Path) -> None:
    model_file(tmp_path / "model.onnx")
    options = AgentOptions(abandon_s=1.0)
    with DeviceAgent("pi", tmp_path / "agent", token=TOKEN, options=options) as agent:
        device = Device("kitchen-pi", url=agent.url, token=TOKEN)
        code = (
            "import numpy as np; from pathlib import Path; from omniforge.deploy import Device, MeasureOptions;"
            "from omniforge.sidecar.device import DeviceClient;"
            f"client = DeviceClient(Device('pi', url={agent.url!r}, token={TOKEN!r}), client_name='killed', patience_s=2);"
            "client.measure(Path('model.onnx'), np.zeros((20, 3), dtype=np.float32),"
            " options=MeasureOptions(budget_s=60, precision=1e-9))"
        )
        doomed = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
        work = tmp_path / "agent" / "work"
        wait_for(lambda: work.exists() and bool(list(work.iterdir())))
        doomed.kill()
        doomed.wait()
        killed_s = time.monotonic()
        with client_of(device) as client:
            assert client.measure(tmp_path / "model.onnx", ROWS, options=QUICK).repeats > 0
        assert time.monotonic() - killed_s < 20  # the killed one's poll ends, and it is abandoned; not after its 60 s


def test_killed_during_an_upload_it_keeps_what_has_arrived(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(150 * 2**20)  # no model, but a long way
    with serving(tmp_path / "home") as served, client_of(served.device) as client:
        folder = served.home / "device" / "uploads"
        asked = Doing(lambda: client.measure(tmp_path / "model.onnx", ROWS))
        wait_for(lambda: any(path.stat().st_size > 5 * 2**20 for path in folder.glob("*.part")))
        served.kill()
        [partial] = folder.iterdir()
        arrived = partial.stat().st_size
        assert partial.suffix == ".part"
        assert arrived < 150 * 2**20
        inode = partial.stat().st_ino
        served.start()
        with pytest.raises(MeasurementError, match="cannot be loaded"):
            asked.result()
        assert inode in {path.stat().st_ino for path in folder.iterdir()}  # it went on, and did not begin again
        assert not list(folder.glob("*.part"))


def test_told_to_stop_it_ends_the_measurement_and_its_client_goes_on_later(tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx")
    with serving(tmp_path / "home") as served, client_of(served.device) as client:
        asked = Doing(lambda: client.measure(model, ROWS, options=LONG))
        served.until_it_measures()
        told_s = time.monotonic()
        assert served.stop() == 0
        assert time.monotonic() - told_s < 4
        served.start()
        assert asked.result().metrics["latency_ms"] > 0


class Cutting:
    """A line to a device that is cut after so many bytes towards it, some times; it counts what passes."""

    def __init__(self, url: str, *, after_bytes: int, times: int = 1) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._after_bytes = self._left = after_bytes
        self._times = times
        self._lock = threading.Lock()
        self.passed = 0
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if counted:
                    with self._lock:
                        self.passed += len(data)
                        self._left -= len(data)
                        cut = self._left < 0 and self.cuts < self._times
                        if cut:
                            self.cuts, self._left = self.cuts + 1, self._after_bytes
                    if cut:
                        break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the other direction
            end.close()


def test_an_upload_that_is_cut_goes_on_where_it_was(served: Served, tmp_path: Path) -> None:
    weights = np.random.default_rng(1).normal(size=(3, 700_000)).astype(np.float32)
    (tmp_path / "model.onnx").write_bytes(linear_model(weights))
    size = (tmp_path / "model.onnx").stat().st_size
    line = Cutting(served.url, after_bytes=2_500_000, times=3)
    with client_of(Device("kitchen-pi", url=line.url, token=TOKEN), patience_s=0.5) as client:
        report = client.measure(tmp_path / "model.onnx", ROWS, options=QUICK)
    line.close()
    assert report.metrics["model_bytes"] == size
    assert line.cuts == 3
    assert size <= line.passed < size + 3 * 500_000  # what the line swallowed at each cut, not the file again


def test_a_wrong_token_is_said_at_once(served: Served, tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx")
    before_s = time.monotonic()
    with (
        client_of(Device("kitchen-pi", url=served.url, token="x" * 30)) as client,
        pytest.raises(DeviceError, match="does not take the token") as caught,
    ):
        client.measure(model, ROWS)
    assert time.monotonic() - before_s < 2
    assert not caught.value.retryable
    assert "--token-file" in str(caught.value.hint)


def test_two_gigabytes_are_refused_before_one_byte_is_sent(
    served: Served, client: DeviceClient, tmp_path: Path
) -> None:
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2 * 2**30)
    before_s = time.monotonic()
    with pytest.raises(MeasurementError, match=f"2147483648 bytes.*takes {LIMIT_MB * 2**20}") as caught:
        client.measure(tmp_path / "large.onnx", ROWS)
    assert time.monotonic() - before_s < 1
    assert not caught.value.retryable


@pytest.mark.parametrize("announced", ["Content-Length: 2147483648", "Content-Length: 9\nUpload-Length: 2147483648"])
def test_an_announced_body_that_is_too_large_is_not_read(served: Served, announced: str) -> None:
    parts = urlsplit(served.url)
    head = (
        f"PATCH /v1/uploads/{'a' * 64} HTTP/1.1\nHost: x\nAuthorization: Bearer {TOKEN}\nUpload-Offset: 0\n{announced}"
    )
    head += "" if "Upload-Length" in announced else "\nUpload-Length: 2147483648"
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as line:
        line.sendall((head + "\n\n").replace("\n", "\r\n").encode())
        assert b" 413 " in line.makefile("rb").readline()


@pytest.mark.parametrize("content", [b"", b"not a model", linear_model()[:60]], ids=["empty", "text", "cut"])
def test_a_corrupt_model_is_the_model_s_fault(client: DeviceClient, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(MeasurementError, match=r"On device 'kitchen-pi': The model model\.onnx cannot be") as caught:
        client.measure(tmp_path / "model.onnx", ROWS, options=QUICK)
    assert not caught.value.retryable


def test_a_model_that_predicts_nan_is_the_model_s_fault(client: DeviceClient, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(linear_model(np.full_like(WEIGHTS, np.nan)))
    with pytest.raises(MeasurementError, match="NaN or infinity") as caught:
        client.measure(tmp_path / "model.onnx", ROWS, options=QUICK)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("what", "said"), [("crash", "SIGSEGV"), ("hang", r"limit of 4 s"), ("grow", "limit of 300 MiB")]
)
def test_a_model_that_misbehaves_ends_its_own_process_only(
    client: DeviceClient, tmp_path: Path, what: str, said: str
) -> None:
    (tmp_path / "model.onnx").write_text(what)
    with pytest.raises(MeasurementError, match=said) as caught:
        client.measure(tmp_path / "model.onnx", ROWS, options=QUICK, runtime="openvino")
    assert not caught.value.retryable
    assert client.measure(model_file(tmp_path / "good.onnx"), ROWS, options=QUICK).repeats > 0


def test_two_jobs_take_turns_and_one_is_measured_at_a_time(served: Served, tmp_path: Path) -> None:
    ended: list[str] = []
    most = 0
    models = [model_file(tmp_path / f"{i}.onnx", scale=1.0 + i) for i in range(7)]

    def ask(job: str, model: Path) -> Doing:
        def call() -> None:
            with client_of(served.device, job) as client:
                client.measure(model, ROWS, options=QUICK)
            ended.append(job)

        asked = Doing(call)
        wait_for(lambda: queued(served) + len(ended) + len(served.measuring()) >= len(asked_all) + 1)
        return asked

    asked_all: list[Doing] = []
    blocker = Doing(lambda: client_of(served.device, "blocker").measure(models[6], ROWS, options=LONG))
    served.until_it_measures()
    for job, model in [*(("greedy", model) for model in models[:4]), *(("modest", model) for model in models[4:6])]:
        asked_all.append(ask(job, model))
    while any(one.is_alive() for one in asked_all):
        most = max(most, len(list((served.home / "device" / "work").iterdir())))
        time.sleep(0.005)
    for one in asked_all:
        one.result()
    assert blocker.result().repeats > 0
    assert ended == ["greedy", "modest", "greedy", "modest", "greedy", "greedy"]
    assert most == 1


def queued(served: Served) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(f"{served.url}/v1/device", headers=headers, trust_env=False, timeout=20)
    return int(answer.json()["queued"])


def test_a_client_that_lost_its_connection_gets_the_result(served: Served, tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.onnx", scale=9.0)
    line = Cutting(served.url, after_bytes=1_700)
    with client_of(Device("kitchen-pi", url=line.url, token=TOKEN)) as client:
        assert client.measure(model, ROWS, options=QUICK).repeats > 0
    assert line.cuts == 1
    line.close()


def test_two_clients_that_send_the_same_are_both_served(served: Served, tmp_path: Path) -> None:
    weights = np.random.default_rng(2).normal(size=(3, 500_000)).astype(np.float32)
    (tmp_path / "model.onnx").write_bytes(linear_model(weights))

    def measure(name: str) -> float:
        with client_of(served.device, name) as client:
            return float(client.measure(tmp_path / "model.onnx", ROWS, options=QUICK).metrics["model_bytes"])

    asked = [Doing(lambda name=name: measure(name)) for name in ("one", "other")]  # type: ignore[misc]
    assert {one.result() for one in asked} == {float((tmp_path / "model.onnx").stat().st_size)}
