"""The whole command is interrupted, killed or cancelled: nothing goes on in the dark, and ``jobs resume`` goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.bench import BUNDLE, SOUND, Bench, opened

pytestmark = pytest.mark.fault

TRIALS = 6


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened(tmp_path) as made:
        yield made


def scored(bench: Bench) -> dict[int, str]:
    """Return the search's tasks that have a score, and when they got it."""
    return {task.id: str(task.finished_at) for task in bench.tasks() if task.state == "succeeded"}


def test_ctrl_c(bench: Bench) -> None:
    space = bench.folder / "space.yaml"
    space.write_text(json.dumps(SOUND))  # JSON is YAML
    bench.hold(after=3)
    bench.start(
        "run", "hpo", "--estimator", BUNDLE, "--data", bench.data, "--target", "target", "--trials", TRIALS,
        "--workers", 2, "--strategy", "random", "--space", space,
    )  # fmt: skip
    bench.until_held()
    before = scored(bench)
    os.killpg(bench.process.pid, signal.SIGINT)  # as a terminal does it
    assert bench.end() == 130
    assert f"omniforge jobs resume {bench.job}" in bench.said
    assert "Traceback" not in bench.said
    bench.until_nothing_is_left()
    stopped = bench.document()
    assert stopped["state"] == "cancelled"
    assert stopped["tasks"]["reserved"] == stopped["tasks"]["running"] == 0

    bench.release()
    assert bench.call("jobs", "resume", bench.job, "--quiet") == 0, bench.said
    bench.assert_nothing_is_lost_or_counted_twice(TRIALS)
    assert before
    assert before.items() <= scored(bench).items()
    bench.until_nothing_is_left()


def test_the_command_is_killed_and_another_one_cancels(bench: Bench) -> None:
    bench.hold(after=2)
    bench.run(trials=TRIALS, strategy="random", space=SOUND)
    bench.until_held()
    before = scored(bench)
    os.kill(bench.process.pid, signal.SIGKILL)
    assert bench.end() == -signal.SIGKILL
    bench.until_nothing_is_left()
    assert bench.document()["state"] == "running"

    bench.start("jobs", "resume", bench.job, "--quiet")
    bench.until_held()
    cancelling = bench.aside("jobs", "cancel", bench.job, "--json")
    assert cancelling.returncode == 0, cancelling.stderr
    assert json.loads(cancelling.stdout)["state"] == "cancelled"
    assert bench.end() == 1
    assert "Traceback" not in bench.said
    bench.until_nothing_is_left()
    stopped = bench.document()
    assert stopped["state"] == "cancelled"
    assert sum(stopped["tasks"][state] for state in ("pending", "reserved", "running")) == 0
    assert bench.aside("jobs", "cancel", bench.job).returncode == 2

    bench.release()
    assert bench.call("jobs", "resume", bench.job, "--quiet") == 0, bench.said
    bench.assert_nothing_is_lost_or_counted_twice(TRIALS)
    assert before
    assert before.items() <= scored(bench).items()
    bench.until_nothing_is_left()
