from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from conformance.runtime_models import WEIGHTS, image_network, linear_model

from omniforge.deploy import Device, RuntimeOptions
from omniforge.errors import MeasurementError, SpecError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.remote import TvmRpcSession, connect_to
from omniforge.deploy.runtimes.tvm.runtime import TvmRuntime

NETWORK = image_network()


def prepare(url: str, content: bytes = NETWORK.content, **extra: object) -> TvmRpcSession:
    device = Device("bare", runtime="tvm", url=url)
    session = TvmRuntime().prepare(content, device=device, options=RuntimeOptions(extra=extra))
    assert isinstance(session, TvmRpcSession)
    return session


@contextmanager
def tvm_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run TVM's own server on a free port of this machine; it and what it started end with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tvm.exec.rpc_server", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--port-end", str(port + 1)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "TVM's server ended"
                assert time.monotonic() < deadline, "TVM's server does not start"
                time.sleep(0.1)
        yield f"tvm-rpc://127.0.0.1:{port}", server
    finally:
        stop(server)


def stop(server: subprocess.Popen[bytes]) -> None:
    with_children = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    for process in with_children:
        os.kill(process.pid, signal.SIGKILL)
    server.kill()
    server.wait()
    psutil.wait_procs(with_children, timeout=10)


@pytest.mark.service
def test_a_model_runs_on_a_bare_server_until_it_is_gone(tmp_path: Path) -> None:
    batch = np.ones((5, 3), np.float32)
    with tvm_server() as (url, server):
        with prepare(url) as session:
            assert not session.tuned
            np.testing.assert_allclose(session.run(NETWORK.rows), NETWORK.expected, rtol=1e-4, atol=1e-6)
            latencies = session.latencies_ms(NETWORK.rows[:1], repeats=3)
            assert len(latencies) == 3
            assert 0 < min(latencies) < 1000
            with pytest.raises(MeasurementError, match="compiled for 1"):
                session.latencies_ms(NETWORK.rows)
            with pytest.raises(MeasurementError, match=r"expected float32 \[batch, 3, 8, 8\]"):
                session.run(NETWORK.rows[:, :2])
        session.close()
        with pytest.raises(MeasurementError, match="closed"):
            session.run(NETWORK.rows)
        tuning = {"tuning_s": 60, "tuning_trials": 2, "tuning_threads": 1, "cache": tmp_path}
        for new_trials in (2, 0):
            with prepare(url, linear_model(), **tuning) as session:  # kernels are timed on the server
                assert session.tuned
                assert session.tuning.new_trials == new_trials
                np.testing.assert_allclose(session.run(batch), batch @ WEIGHTS, rtol=1e-5)
        with prepare(url, linear_model(), batch=2) as session:
            assert session.run(batch).shape == (5, 2)
            stop(server)
            with pytest.raises(MeasurementError, match="does not answer any more") as caught:
                session.run(batch)
            assert caught.value.retryable
    with pytest.raises(MeasurementError, match="does not answer") as caught:
        prepare(url)
    assert caught.value.retryable
    assert "rpc_server" in (caught.value.hint or "")


@pytest.mark.parametrize("host", ["192.0.2.1", "device.example", "[2001:db8::1]"])
def test_another_machine_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(SpecError, match="runs any code there") as caught:
        prepare(f"tvm-rpc://{host}:9190")
    assert "allow_remote_rpc" in (caught.value.hint or "")
    assert "ssh -L" in (caught.value.hint or "")


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "tvm-rpc://127.0.0.1", "tvm-rpc://:9190", "tvm-rpc://a:b"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match=r"expected tvm-rpc://HOST:PORT"):
        prepare(url)


def test_a_busy_server_is_not_waited_for_forever() -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes the connection and says nothing
    with silent, pytest.raises(MeasurementError, match="busy with another session") as caught:
        connect_to("127.0.0.1", silent.getsockname()[1], timeout_s=0.5)
    assert caught.value.retryable
