from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import pytest

from omniforge.errors import LaunchError
from omniforge.sidecar import Sidecar, SidecarClient, TaskMessage


def get(url: str, path: str = "/v1/health") -> int:
    return httpx.get(f"{url}{path}", trust_env=False, timeout=20).status_code


def test_it_listens_on_loopback_only(task: TaskMessage) -> None:
    with Sidecar() as sidecar:
        assert sidecar.url.startswith("http://127.0.0.1:")
        assert get(sidecar.url) == 200
        port = int(sidecar.url.rpartition(":")[2])
        name = socket.gethostbyname(socket.gethostname())
        if not name.startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((name, port), timeout=5)


def test_other_interfaces_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with Sidecar("0.0.0.0") as sidecar:
        assert get(sidecar.url) == 200
    assert "other machines can reach it" in caplog.text


def test_it_can_listen_on_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        sidecar = Sidecar("::1").start()
    except LaunchError:
        pytest.skip("no IPv6 loopback")
    with sidecar:
        assert sidecar.url.startswith("http://[::1]:")
        assert get(sidecar.url) == 200


@pytest.mark.parametrize("port", [0, 70_000])
def test_a_port_that_cannot_be_had(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port or taken.getsockname()[1]
        with pytest.raises(LaunchError, match=f"cannot listen on '127.0.0.1', port {port}") as caught:
            Sidecar(port=port).start()
        assert caught.value.hint == "Port 0 takes a free one."


def test_it_must_be_started(task: TaskMessage) -> None:
    with pytest.raises(LaunchError, match="not started"):
        Sidecar().open(task, on_progress=lambda step, metrics: False)


def test_stopping_leaves_no_thread_and_no_session(task: TaskMessage) -> None:
    before = set(threading.enumerate())
    sidecar = Sidecar().start()
    assert sidecar.start() is sidecar
    session = sidecar.open(task, on_progress=lambda step, metrics: False)
    with SidecarClient(session.url, session.token) as client:  # a connection that stays open, and the threads it needs
        client.progress(1, {})
        spool = session.spool_dir
        sidecar.stop()
    sidecar.stop()
    deadline_s = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline_s, threading.enumerate()
        time.sleep(0.01)
    assert not spool.exists()
    with pytest.raises(httpx.ConnectError):
        get(session.url)


def test_it_starts_again_on_the_same_port(task: TaskMessage) -> None:
    sidecar = Sidecar()
    with sidecar:
        first = sidecar.url
        get(first)
    with sidecar:
        assert sidecar.url == first
        assert get(first) == 200


def test_sessions_are_kept_apart(sidecar: Sidecar, task: TaskMessage) -> None:
    sessions = [
        sidecar.open(task.model_copy(update={"task": i}), on_progress=lambda step, metrics: False) for i in range(4)
    ]
    clients = [SidecarClient(session.url, session.token) for session in sessions]
    for i, client in enumerate(clients):
        assert client.task().task == i
        client.result({"score": float(i)})
    outcomes: list[Any] = [session.outcome for session in sessions]
    assert [outcome.metrics["score"] for outcome in outcomes] == [0.0, 1.0, 2.0, 3.0]
    for session, client in zip(sessions, clients, strict=True):
        session.close()
        client.close()


def test_a_slow_worker_does_not_hold_up_other_tasks(sidecar: Sidecar, task: TaskMessage) -> None:
    entered, leave = threading.Event(), threading.Event()

    def on_progress(step: int, metrics: dict[str, float]) -> bool:
        entered.set()
        return leave.wait(20)

    slow = sidecar.open(task, on_progress=on_progress)
    quick = sidecar.open(task, on_progress=lambda step, metrics: False)
    with SidecarClient(slow.url, slow.token) as one, SidecarClient(quick.url, quick.token) as other:
        answers: list[bool] = []
        thread = threading.Thread(target=lambda: answers.append(one.progress(1, {})))
        thread.start()
        assert entered.wait(20)
        assert other.progress(1, {}) is False
        other.result({"score": 1.0})
        assert answers == []
        leave.set()
        thread.join(20)
        assert answers == [True]
    slow.close()
    quick.close()


def test_a_process_that_forgets_to_stop_it_can_end() -> None:
    code = "from omniforge.sidecar import Sidecar\nSidecar().start()\n"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
