"""The runner with real processes: concurrency, failure, retries and Ctrl-C as they happen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omniforge.errors import ComponentError
from omniforge.launch import Launcher
from omniforge.pipelines.local import run_local

Compiled = Callable[[str], Path]


def until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "the condition did not become true"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_estimator_and_its_workers_run_at_the_same_time(
    compiled: Compiled, launcher: Launcher, tmp_path: Path
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    result = run_local(
        compiled("search"), {"folder": str(meeting)}, workspace=tmp_path, launcher=launcher
    )  # each waits for the other four, so it ends only if all five run together
    assert result.outputs == {"Output": 4}
    assert {task.outputs["Output"] for name, task in result.tasks.items() if "rendezvous" in name} == {0, 1, 2, 3, 100}


def test_a_failure_names_the_component_and_shows_its_traceback(
    compiled: Compiled, launcher: Launcher, tmp_path: Path
) -> None:
    with pytest.raises(ComponentError) as caught:
        run_local(compiled("failing"), {"folder": str(tmp_path)}, workspace=tmp_path / "runs", launcher=launcher)
    error = caught.value
    assert error.component == "fail"
    assert error.message == "Component 'fail' failed: ValueError: it broke"
    assert "KeyError: 'the cause'" in error.details
    assert "raise ValueError(message) from e" in error.details
    [log] = (tmp_path / "runs").glob("*/fail/log.txt")
    assert log.read_text().startswith("about to fail\n")
    assert str(log) in str(error.hint)
    until(lambda: not alive(int((tmp_path / "pid").read_text())))
    [noted] = (tmp_path / "runs").glob("*/note-ending/executor_output.json")
    assert "it FAILED" in noted.read_text()


def test_an_input_error_is_the_callers_and_is_not_retried(
    compiled: Compiled, launcher: Launcher, tmp_path: Path
) -> None:
    with pytest.raises(ComponentError) as caught:
        run_local(compiled("refusing"), {}, workspace=tmp_path, launcher=launcher)
    assert str(caught.value) == "Component 'refuse' failed: DataError: Column 'x' is missing.\nDid you mean 'y'?"
    assert caught.value.exit_code == 2
    [log] = tmp_path.glob("*/refuse/log.txt")
    assert log.read_text().count("Traceback") == 1


def test_a_component_that_fails_at_first_is_tried_again(compiled: Compiled, launcher: Launcher, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    tries.mkdir()
    result = run_local(compiled("retried"), {"folder": str(tries)}, workspace=tmp_path, launcher=launcher)
    task = result.tasks["flaky"]
    assert (task.attempt, task.outputs) == (3, {"Output": 2})
    assert task.log_path.read_text().count("\nOSError: not yet, attempt") == 2


def test_variables_of_the_caller_win(compiled: Compiled, launcher: Launcher, tmp_path: Path) -> None:
    result = run_local(
        compiled("environments"), {}, workspace=tmp_path, launcher=launcher, environment={"SAMPLE_B": "mine"}
    )
    assert result.tasks["show-environment"].outputs == {"Output": "from the pipeline"}
    assert result.tasks["show-environment-2"].outputs == {"Output": "mine"}


INTERRUPTED = """
import sys
from pathlib import Path
from omniforge.launch import ForkLauncher
from omniforge.pipelines.local import run_local

with ForkLauncher() as launcher:
    try:
        run_local(sys.argv[1], {"folder": sys.argv[2]}, workspace=Path(sys.argv[2]), launcher=launcher)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_stops_every_task(compiled: Compiled, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(compiled("sleeping")), str(tmp_path)],
        # a job in the background of a shell ignores Ctrl-C; the tests may be one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    written = tmp_path / "pid"
    until(lambda: written.exists() and written.read_text() != "")
    task = int(written.read_text())
    assert alive(task)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert not alive(task)
