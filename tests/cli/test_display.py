"""What a person sees, from documents made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from omniforge.cli.display import (
    JobView,
    duration_text,
    finish,
    jobs_table,
    leaderboard_table,
    number_text,
    progress,
    show_job,
)

STATES = ("pending", "reserved", "running", "succeeded", "failed", "timeout", "cancelled")


def objective(key: str, goal: str) -> dict[str, Any]:
    return {"metric": key, "goal": goal, "device": None, "bound": None, "weight": 1.0, "key": key}


def row(task: int, accuracy: float, latency_ms: float, **config: Any) -> dict[str, Any]:
    return {
        "task": task,
        "config": {"algorithm": "mlp", "algorithm.mlp.width": 64, "algorithm.mlp.dropout": 0.123456, **config},
        "rewards": {"accuracy": accuracy, "latency_ms": latency_ms},
        "device": "local",
    }


def document(**changes: Any) -> dict[str, Any]:
    """Return a running job with two objectives."""
    board = [row(3, 0.91234, 0.5), row(1, 0.95, 123456.0), row(2, 0.5, 2.0)]
    base: dict[str, Any] = {
        "id": "flowers-1", "name": "flowers", "kind": "nocode", "state": "running",
        "created_at": "2026-01-02T03:04:05+00:00", "best": board[0],
        "tasks": {**dict.fromkeys(STATES, 0), "succeeded": 3, "failed": 1, "running": 2},
        "workers": [
            {"id": "a", "pid": 1, "host": "h", "state": "busy", "heartbeat_age_s": 0.5},
            {"id": "b", "pid": 2, "host": "h", "state": "busy", "heartbeat_age_s": 300.0},
            {"id": "c", "pid": 3, "host": "h", "state": "stopped", "heartbeat_age_s": 0.5},
        ],
        "objectives": [objective("accuracy", "max"), objective("latency_ms", "min")],
        "leaderboard": board, "pareto": [3, 1], "model": None, "report": None, "phases": {}, "failures": [],
        "knee": None, "unmeasured": [],
        "reasons": ["[bold] 3 rows."], "space": None, "started_at": None, "finished_at": None, "error": None,
    }  # fmt: skip
    return {**base, **changes}


def text(renderable: Any, *, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_leaderboard_shows_every_value_at_any_width(width: int) -> None:
    lines = text(leaderboard_table(document(), rows=2), width=width).splitlines()
    assert len(lines) == 3
    assert "accuracy ↑" in lines[0]
    assert "latency_ms ↓" in lines[0]
    assert lines[1].split()[:4] == ["*", "3", "0.9123", "0.5"]
    assert lines[2].split()[:4] == ["*", "1", "0.95", "1.235e+05"]
    assert "mlp" in lines[1]


def test_a_configuration_is_escaped_and_shortened() -> None:
    shown = text(leaderboard_table(document(leaderboard=[row(3, 0.9, 0.5, note="[red]x[/]")]), rows=5), width=120)
    assert "mlp width=64 dropout=0.1235 note=[red]x[/]" in shown


def test_the_live_picture_names_the_stage_and_the_facts() -> None:
    view = JobView(trials=10, budget_s=None)
    assert "Starting" in text(view.render())
    shown = text(view.update(document()), width=120)
    assert "searching" in shown
    assert "4/10" in shown
    assert "4 done, 1 worker alive, best accuracy 0.9123, latency_ms 0.5, 2 on the Pareto front, 1 failed" in shown


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"state": "queued"}, "preparing the data"),
        ({"objectives": []}, "preparing the data"),
        ({}, "training the winner in full"),
        ({"report": "/r.html"}, "writing the report"),
    ],
)
def test_the_stages(changes: dict[str, Any], stage: str) -> None:
    done = {**dict.fromkeys(STATES, 0), "succeeded": 4}
    assert stage in text(JobView(trials=4, budget_s=None).update(document(tasks=done, **changes)), width=120)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_the_budget_and_the_pace() -> None:
    clock = Clock()
    view = JobView(trials=10, budget_s=None, clock=clock)
    hurried = JobView(trials=10, budget_s=70.0, clock=clock)
    clock.now += 60
    assert "about 2 min left" in text(view.update(document()), width=120)  # 4 of 10 took 60 s
    assert "about 10 s left" in text(hurried.update(document()), width=120)


def test_without_a_terminal_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    view = JobView(trials=10, budget_s=None, clock=clock)
    for wait_s, state in ((0, "running"), (1, "queued"), (9, "running"), (1, "queued")):
        clock.now += wait_s
        view.print_plain(document(state=state))  # the second comes too soon, the third says nothing new
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(",")[0] for line in printed.err.splitlines()] == [
        "flowers-1: searching", "flowers-1: preparing the data",
    ]  # fmt: skip


def test_progress_prints_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=False, trials=10, budget_s=None) as update:
        update(document())
    printed = capsys.readouterr()
    assert (printed.out, "flowers-1: searching" in printed.err) == ("", True)


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True, trials=10, budget_s=None) as update:
        update(document())
    assert capsys.readouterr() == ("", "")


def test_the_end_says_what_can_be_done_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    ended = document(state="succeeded", model="flowers/1", report="/home/x/report.html")
    finish(ended, as_json=False, home=Path("/h"))
    shown = capsys.readouterr().out
    for part in ("[bold] 3 rows.", "Report: /home/x/report.html", "* on the Pareto front"):
        assert part in shown
    assert "OMNIFORGE_HOME=/h omniforge predict flowers/1 --data FILE -o predictions.csv" in shown
    finish(ended, as_json=False, home=Path(".omniforge"))
    assert "  omniforge predict flowers/1" in capsys.readouterr().out
    finish(ended, as_json=True, home=Path("/h"))
    assert json.loads(capsys.readouterr().out) == ended


def test_a_job_that_failed_shows_its_failures_and_no_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    failure = {"task": 4, "state": "failed", "cause": "exception", "message": "[b]x[/]", "attempt": 1, "config": {}}
    ended = document(state="failed", error="None of [5] succeeded.", failures=[failure], leaderboard=[], best=None)
    finish(ended, as_json=False, home=Path("/h"))
    shown = capsys.readouterr().out
    assert "task 4 failed: exception: [b]x[/]" in shown
    assert "Error: None of [5] succeeded." in shown
    assert "Next:" not in shown


def test_the_list_of_jobs() -> None:
    shown = text(jobs_table([document(), document(id="other-2", best=None, state="queued")]), width=120)
    assert "flowers-1  nocode  running  2026-01-02 03:04:05" in shown
    assert "accuracy 0.9123, latency_ms 0.5" in shown
    assert "other-2" in shown


def test_numbers_and_durations() -> None:
    assert [number_text(value) for value in (0.123456, 12345.0, 1234567.0, 3)] == [
        "0.1235",
        "1.234e+04",
        "1.235e+06",
        "3",
    ]
    assert [duration_text(seconds) for seconds in (45.2, 180.0, 9000.0)] == ["45 s", "3 min", "2.5 h"]


def test_the_knee_is_explained_and_what_was_not_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    unmeasured = [
        {"task": 4, "cause": "device_lost", "message": "device pi: no answer"},
        {"task": 5, "cause": "not_measured", "message": "too slow"},
    ]
    knee = {"task": 3, "reason": "It is where the front bends most."}
    show_job(document(knee=knee, unmeasured=unmeasured))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Task 3 is recommended. It is where the front bends most." in shown
    assert (
        "1 without measurements, because a device could not measure them (device pi: no answer); 1 not measured"
        in shown
    )
