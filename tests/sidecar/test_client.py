from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import SpecError, StaleAttemptError
from omniforge.sidecar import FailureMessage, ResultMessage, Session, Sidecar, SidecarClient, SidecarError, TaskMessage


def test_task_is_asked_for_once(client: SidecarClient, session: Session, task: TaskMessage) -> None:
    assert client.task() == task
    session.close()
    assert client.task() == task


def test_progress_and_the_decision_to_stop(client: SidecarClient, worker: Any) -> None:
    worker.stop_at = 2
    assert client.progress(1, {"loss": float("nan")}) is False
    assert client.progress(2, {"loss": 0.5}) is True
    assert worker.seen[1] == (2, {"loss": 0.5})


def test_result(client: SidecarClient, session: Session) -> None:
    for _ in range(2):
        client.result({"score": 0.5}, duration_s=1.5, details={"epochs": 3})
    assert session.outcome == ResultMessage(attempt=2, metrics={"score": 0.5}, duration_s=1.5, details={"epochs": 3})
    with pytest.raises(StaleAttemptError, match="Task 7 has an outcome already"):
        client.result({"score": 0.6})


def test_failure_keeps_the_end_of_what_is_long(worker: Any, task: TaskMessage) -> None:
    with Sidecar() as roomy:
        session = roomy.open(task, on_progress=worker.on_progress)
        with SidecarClient(session.url, session.token) as client:
            client.failure("out_of_memory", "no room", "x" * 300_000 + "MemoryError")
        outcome = session.outcome
    assert isinstance(outcome, FailureMessage)
    assert (outcome.cause, outcome.message) == ("out_of_memory", "no room")
    assert len(outcome.traceback) == 200_000
    assert outcome.traceback.endswith("MemoryError")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.result({"score": float("nan")}), "metrics.score: Input should be a finite number"),
        (lambda client: client.result({}), "metrics: Dictionary should have at least 1 item"),
        (lambda client: client.failure("So what", ""), "The cause 'So what' cannot be reported"),
        (lambda client: client.progress(-1, {}), "Progress at step -1 cannot be reported"),
        (lambda client: client.deployment({"metrics": {}}), "'device' must name the device"),
        (lambda client: client.put_model(Path("/no/such/file")), "'/no/such/file' is no file"),
    ],
)
def test_what_cannot_be_sent_is_said_before_it_is(
    client: SidecarClient, session: Session, call: Callable[[SidecarClient], object], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        call(client)
    assert session.outcome is None


def test_a_model_goes_up_and_down(client: SidecarClient, session: Session, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8000
    (tmp_path / "a.onnx").write_bytes(content)
    receipt = client.put_model(tmp_path / "a.onnx")
    assert (receipt.name, receipt.size_bytes) == ("a.onnx", len(content))
    destination = client.get_model(tmp_path / "deep" / "b.onnx")
    assert destination.read_bytes() == content
    assert [path.name for path in destination.parent.iterdir()] == ["b.onnx"]
    assert session.model is not None
    assert session.model.sha256 == receipt.sha256


def test_an_empty_model(client: SidecarClient, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert client.put_model(tmp_path / "a").size_bytes == 0
    assert client.get_model(tmp_path / "b").read_bytes() == b""


def test_a_model_that_is_not_there(client: SidecarClient, tmp_path: Path) -> None:
    with pytest.raises(SidecarError, match="No model of task 7") as caught:
        client.get_model(tmp_path / "b")
    assert caught.value.status == 404
    assert not caught.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_too_large(client: SidecarClient, session: Session, tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(3_000_001)
    with pytest.raises(SidecarError, match="3000000 bytes that are allowed") as caught:
        client.put_model(tmp_path / "a")
    assert caught.value.status == 413
    assert session.model is None


def test_deployments(client: SidecarClient, session: Session) -> None:
    report = {"device": "local", "metrics": {"latency_ms": 0.5}, "energy_mj": None}
    client.deployment(report)
    assert session.deployments == [report]


def test_a_wrong_token(session: Session) -> None:
    with SidecarClient(session.url, "wrong") as client, pytest.raises(SidecarError, match="bearer token") as caught:
        client.task()
    assert caught.value.status == 401


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began_s = time.monotonic()
    client = SidecarClient(f"http://127.0.0.1:{port}", "x", patience_s=0.3)
    with client, pytest.raises(SidecarError, match="does not answer") as caught:
        client.task()
    assert caught.value.retryable
    assert 0.1 < time.monotonic() - began_s < 5


def test_a_sidecar_that_comes_late_is_waited_for(task: TaskMessage) -> None:
    late = Sidecar()
    with late:
        session = late.open(task, on_progress=lambda step, metrics: False)
        late._sessions.add(session)
    answers: list[TaskMessage] = []
    with SidecarClient(session.url, session.token, patience_s=20) as client:
        thread = threading.Thread(target=lambda: answers.append(client.task()))
        thread.start()
        late._sessions.add(session)
        with late:
            thread.join(20)
    assert answers == [task]


class Flaky(BaseHTTPRequestHandler):
    """Break off, then say 503, then answer."""

    calls: list[str]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append(self.path)
        if len(self.calls) == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, body = (503, b'{"detail": "busy"}') if len(self.calls) == 2 else (200, b'{"stop": true}')
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def flaky() -> Iterator[str]:
    Flaky.calls = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_fails_on_the_way_is_sent_again(flaky: str) -> None:
    with SidecarClient(flaky, "x", patience_s=10) as client:
        assert client.progress(1, {}) is True
    assert Flaky.calls == ["/v1/progress"] * 3


def test_a_worker_that_is_busy_for_a_while(client: SidecarClient, worker: Any) -> None:
    worker.fail_with = RuntimeError("database is locked")
    timer = threading.Timer(0.15, lambda: setattr(worker, "fail_with", None))
    timer.start()
    assert client.progress(1, {}) is False
    timer.join()
    worker.fail_with = RuntimeError("database is locked")
    with pytest.raises(SidecarError, match="database is locked") as caught:
        client.progress(2, {})
    assert (caught.value.status, caught.value.retryable) == (503, True)


def test_proxies_are_ignored(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with SidecarClient(session.url, session.token, patience_s=0.2) as client:
        assert client.task().task == 7


def test_from_the_environment(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in session.environment().items():
        monkeypatch.setenv(name, value)
    with SidecarClient.from_environment() as client:
        assert client.task().task == 7
    monkeypatch.delenv("OMNIFORGE_SIDECAR_TOKEN")
    with pytest.raises(SpecError, match="OMNIFORGE_SIDECAR_TOKEN is missing"):
        SidecarClient.from_environment()


def test_the_client_needs_no_server_code() -> None:
    server = ("fastapi", "uvicorn", "starlette")
    code = f"import sys, omniforge.sidecar.client; print([m for m in {server} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
