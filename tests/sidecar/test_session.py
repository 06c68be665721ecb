from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import StaleAttemptError
from omniforge.sidecar import FailureMessage, ResultMessage, Session, TaskMessage
from omniforge.sidecar.messages import ProgressMessage
from omniforge.sidecar.session import SpooledModel

RESULT = ResultMessage(attempt=2, metrics={"score": 0.5})
FAILURE = FailureMessage(attempt=2, cause="exception", message="no")


@pytest.fixture
def alone(task: TaskMessage, worker: Any) -> Session:
    """A session without a server."""
    return Session(task, url="http://127.0.0.1:1", on_progress=worker.on_progress)


def test_tokens_are_long_and_differ(task: TaskMessage) -> None:
    tokens = {Session(task, url="", on_progress=lambda step, metrics: False).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 for token in tokens)


def test_progress_is_handed_on_once(alone: Session, worker: Any) -> None:
    worker.stop_at = 2
    message = ProgressMessage(step=1, metrics={"loss": math.nan})
    again = ProgressMessage(step=1, metrics={"loss": math.nan})
    assert alone.progress(message) is False
    assert alone.progress(again) is False
    assert alone.progress(ProgressMessage(step=2, metrics={})) is True
    assert [step for step, _ in worker.seen] == [1, 2]


def test_progress_that_failed_is_handed_on_again(alone: Session, worker: Any) -> None:
    message = ProgressMessage(step=1, metrics={})
    worker.fail_with = RuntimeError("locked")
    with pytest.raises(RuntimeError, match="locked"):
        alone.progress(message)
    worker.fail_with = None
    assert alone.progress(message) is False
    assert len(worker.seen) == 1


def test_one_attempt_has_one_outcome(alone: Session) -> None:
    assert alone.outcome is None
    assert alone.finish(RESULT) is False
    assert alone.finish(RESULT) is True
    for other in (FAILURE, ResultMessage(attempt=2, metrics={"score": 0.6})):
        with pytest.raises(StaleAttemptError, match="has an outcome already"):
            alone.finish(other)
    assert alone.outcome == RESULT


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_attempt_may_not_report(alone: Session, attempt: int) -> None:
    with pytest.raises(StaleAttemptError, match=f"Attempt {attempt} of task 7 is reported; attempt 2 is current"):
        alone.finish(ResultMessage(attempt=attempt, metrics={"score": 0.5}))
    assert alone.outcome is None


def test_many_threads_report_one_outcome(alone: Session) -> None:
    repeated: list[bool] = []
    threads = [threading.Thread(target=lambda: repeated.append(alone.finish(RESULT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(repeated) == [False, *[True] * 7]


def test_after_the_outcome_only_measurements_are_taken(alone: Session, tmp_path: Path) -> None:
    alone.finish(FAILURE)
    with pytest.raises(StaleAttemptError, match="no progress any more"):
        alone.progress(ProgressMessage(step=1, metrics={}))
    with pytest.raises(StaleAttemptError, match="no model any more"):
        alone.keep_model(SpooledModel(tmp_path / "m", "0", 0))
    alone.keep_deployment({"device": "local", "metrics": {}})
    assert len(alone.deployments) == 1


def test_a_slow_worker_does_not_hold_up_the_rest(task: TaskMessage) -> None:
    entered, leave = threading.Event(), threading.Event()

    def on_progress(step: int, metrics: dict[str, float]) -> bool:
        entered.set()
        return not leave.wait(20)

    session = Session(task, url="", on_progress=on_progress)
    thread = threading.Thread(target=session.progress, args=(ProgressMessage(step=1, metrics={}),))
    thread.start()
    assert entered.wait(20)
    session.keep_deployment({"device": "local", "metrics": {}})
    assert session.finish(RESULT) is False
    leave.set()
    thread.join()


def test_the_last_report_of_a_device_counts(alone: Session) -> None:
    for device, runtime, latency_ms in (("a", "ort", 1.0), ("b", "ort", 2.0), ("a", "ort", 3.0), ("a", "tvm", 4.0)):
        alone.keep_deployment({"device": device, "runtime": runtime, "metrics": {"latency_ms": latency_ms}})
    assert [report["metrics"]["latency_ms"] for report in alone.deployments] == [3.0, 2.0, 4.0]


def test_a_model_of_another_name_replaces_the_first(alone: Session, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"x")
        alone.keep_model(SpooledModel(tmp_path / name, "0", 1))
    assert alone.model_path == tmp_path / "b.onnx"
    assert not (tmp_path / "a.onnx").exists()


def test_closing_removes_its_own_spool_folder_and_nobody_elses(task: TaskMessage, tmp_path: Path) -> None:
    closed: list[Session] = []
    own = Session(task, url="", on_progress=lambda step, metrics: False, on_close=closed.append)
    given = Session(task, url="", on_progress=lambda step, metrics: False, spool_dir=tmp_path / "spool")
    folders = [own.spool_dir, given.spool_dir]
    assert all(folder.is_dir() for folder in folders)
    for session in (own, own, given):
        session.close()
    assert [folder.is_dir() for folder in folders] == [False, True]
    assert closed == [own]


def test_the_environment_leads_to_it(alone: Session) -> None:
    assert alone.environment() == {
        "OMNIFORGE_SIDECAR_URL": "http://127.0.0.1:1",
        "OMNIFORGE_SIDECAR_TOKEN": alone.token,
    }
