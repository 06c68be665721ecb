from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.launcher_suite import MIB

from omniforge.launch import supervision
from omniforge.launch.supervision import Bounds, Supervised


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Supervised, int]]]:
    """Start a Python process in a group of its own; return its supervision and the pipe on which it may report."""
    pipes = []

    def start(code: str, bounds: Bounds | None = None) -> tuple[Supervised, int]:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        pipes.append(writer)
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log, start_new_session=True)
        process.returncode = 0  # it is the supervision that collects it
        return Supervised(process.pid, bounds or Bounds(), status_fd=reader, log_path=str(tmp_path / "log")), writer

    yield start
    for writer in pipes:
        os.close(writer)


def ending_of(one: Supervised) -> dict[str, Any]:
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    return one.reap(time.monotonic())


def test_success(start: Callable[..., Any]) -> None:
    one, _ = start("")
    ending = ending_of(one)
    assert (ending["code"], ending["signal"], ending["cause"]) == (0, None, None)
    assert ending["peak_memory_bytes"] > MIB


def test_without_limits_there_is_nothing_to_check(start: Callable[..., Any]) -> None:
    one, _ = start("")
    assert one.next_check_s == float("inf")
    ending_of(one)


def test_what_the_process_reported_is_believed(start: Callable[..., Any]) -> None:
    one, writer = start("raise SystemExit(1)")
    os.write(writer, b'{"cause": "out_of_memory", "message": "MemoryError"}')
    ending = ending_of(one)
    assert (ending["cause"], ending["message"]) == ("out_of_memory", "MemoryError")


def test_half_a_report_is_none(start: Callable[..., Any]) -> None:
    one, writer = start("raise SystemExit(7)")
    os.write(writer, b'{"cause": "out_of_')
    ending = ending_of(one)
    assert (ending["cause"], ending["message"]) == ("exception", "It left with exit code 7.")


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (signal.SIGKILL, "killed"),
        (signal.SIGTERM, "killed"),
        (signal.SIGFPE, "exception"),
        (signal.SIGABRT, "exception"),
    ],
)
def test_a_signal_is_sent_or_a_crash(start: Callable[..., Any], number: signal.Signals, cause: str) -> None:
    one, _ = start(f"import os; os.kill(os.getpid(), {int(number)})")
    ending = ending_of(one)
    assert (ending["code"], ending["signal"], ending["cause"]) == (None, number, cause)
    assert number.name in ending["message"]


def test_native_code_that_gets_no_memory_aborts(start: Callable[..., Any]) -> None:
    code = "import os; os.write(2, b\"terminate called after throwing an instance of 'std::bad_alloc'\"); os.abort()"
    assert ending_of(start(code, Bounds(memory_bytes=2**40))[0])["cause"] == "out_of_memory"
    assert ending_of(start(code)[0])["cause"] == "exception"


def test_the_kernels_own_kill_for_memory(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([3, 4])
    monkeypatch.setattr(supervision, "oom_kills", lambda: next(counts))
    one, _ = start("import os; os.kill(os.getpid(), 9)")
    ending = ending_of(one)
    assert ending["cause"] == "out_of_memory"
    assert "kernel" in ending["message"]


def test_the_first_reason_counts(start: Callable[..., Any]) -> None:
    one, _ = start("import time; time.sleep(60)", Bounds(time_s=100.0, grace_s=50.0))
    now_s = time.monotonic()
    assert one.next_check_s == pytest.approx(now_s + 100, abs=5)
    one.terminate("cancelled", "Its owner ended it.", now_s=now_s)
    assert one.next_check_s == pytest.approx(now_s + 50)
    one.terminate("timeout", "It ran too long.", now_s=now_s)
    one.check(now_s + 200)  # the grace is over
    assert ending_of(one)["cause"] == "cancelled"


def test_time_passes_by_the_clock_that_is_handed_in(start: Callable[..., Any]) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    one, _ = start(code, Bounds(time_s=100.0, grace_s=50.0))
    now_s = time.monotonic()
    one.check(now_s + 99)
    assert os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    one.check(now_s + 101)
    one.check(now_s + 152)
    ending = ending_of(one)
    assert ending["cause"] == "timeout"


def test_memory_above_the_limit(start: Callable[..., Any]) -> None:
    one, _ = start("held = b'x' * (80 * 2**20); import time; time.sleep(60)", Bounds(memory_bytes=40 * MIB))
    deadline_s = time.monotonic() + 20
    while os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < deadline_s
        time.sleep(supervision.MEMORY_CHECK_S)
        one.check(time.monotonic())
    ending = one.reap(time.monotonic())
    assert (ending["signal"], ending["cause"]) == (signal.SIGKILL, "out_of_memory")
    assert "the limit is 40 MiB" in ending["message"]
    assert ending["peak_memory_bytes"] > 40 * MIB
