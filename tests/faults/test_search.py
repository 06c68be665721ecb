"""What a search runs on is killed or locked while it runs: its work is done again, and none of it twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from faults.bench import SOUND, Bench, opened, until

pytestmark = pytest.mark.fault

TRIALS = 6
LOCKED_S = 5.0


@dataclass(frozen=True)
class Shot:
    """A search that has ended after three of its processes were killed, one after another, and its database locked.

    Attributes:
        training: How the task was released whose training was killed.
        worker_id: The worker that was killed.
        worker: How its task was released.
        locked_out: The tasks whose trainings ended while the database was locked, and that still ran in its eyes.
    """

    bench: Bench
    training: dict[str, Any]
    worker_id: str
    worker: dict[str, Any]
    locked_out: set[int]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shot]:
    with opened(tmp_path_factory.mktemp("shot")) as bench:
        bench.hold(after=2)
        bench.run(trials=TRIALS, strategy="random", space=SOUND)
        [training] = kill_a_training(bench)
        worker_id, worker = kill_a_worker(bench)
        kill_the_job_estimator(bench)
        locked_out = lock_the_database_and_release(bench)
        assert bench.end() == 0, bench.said
        yield Shot(bench, training, worker_id, worker, locked_out)


def kill_a_training(bench: Bench) -> list[dict[str, Any]]:
    held = bench.until_held()
    os.kill(min(held), signal.SIGKILL)
    released = until(lambda: bench.events("task_released"), "the task is back")
    until(lambda: bench.until_held() - held, "it is trained again")
    return released


def kill_a_worker(bench: Bench) -> tuple[str, dict[str, Any]]:
    task = next(task for task in bench.tasks() if task.state == "running" and task.attempt == 1)
    [worker] = [worker for worker in bench.document()["workers"] if worker["id"] == task.worker_id]
    before, known = bench.until_held(), len(bench.events("task_released"))
    os.kill(worker["pid"], signal.SIGKILL)
    until(lambda: len(before & set(bench.processes())) == 1, "its training ends with it", timeout_s=10)
    released = until(lambda: bench.events("task_released")[known:], "the task is back")
    until(lambda: bench.until_held() - before, "it is trained again")
    return worker["id"], released[0]


def kill_the_job_estimator(bench: Bench) -> None:
    [started] = bench.events("job_estimator_started")
    os.kill(started["pid"], signal.SIGKILL)
    until(lambda: len(bench.events("job_estimator_started")) == 2, "another one goes on")


def lock_the_database_and_release(bench: Bench) -> set[int]:
    held = bench.until_held()
    with closing(sqlite3.connect(bench.home / "omniforge.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        locked_s = time.monotonic()
        bench.release()
        until(lambda: not held & set(bench.processes()), "both trainings end, and cannot be reported")
        time.sleep(max(0.0, LOCKED_S - (time.monotonic() - locked_s)))
        running = {row[0] for row in other.execute("SELECT id FROM tasks WHERE state = 'running'")}
        other.execute("ROLLBACK")
    return running


def test_the_search_has_every_task_once(shot: Shot) -> None:
    shot.bench.assert_nothing_is_lost_or_counted_twice(TRIALS)
    assert sum(task.attempt for task in shot.bench.tasks()) == TRIALS + len(shot.bench.events("task_released"))
    shot.bench.until_nothing_is_left()


def test_a_training_that_is_killed_is_run_again_by_its_worker(shot: Shot) -> None:
    assert (shot.training["cause"], shot.training["attempt"], shot.training["state"]) == ("killed", 1, "pending")
    assert "SIGKILL" in shot.training["message"]


def test_the_task_of_a_worker_that_is_killed_is_given_to_another(shot: Shot) -> None:
    assert (shot.worker["cause"], shot.worker["worker"]) == ("lost_worker", shot.worker_id)
    states = {worker["id"]: worker["state"] for worker in shot.bench.document()["workers"]}
    assert states.pop(shot.worker_id) == "lost"
    assert list(states.values()) == ["stopped"] * 3  # the other one, the one in its place, that of the final training


def test_a_job_estimator_that_is_killed_goes_on_from_the_record(shot: Shot) -> None:
    first, second = shot.bench.events("job_estimator_started")
    assert first["pid"] != second["pid"]
    assert len(shot.bench.events("phase_closed")) == 1


def test_what_ends_while_the_database_is_locked_is_reported_when_it_is_free(shot: Shot) -> None:
    assert len(shot.locked_out) == 2
    ended = {task.id: task.state for task in shot.bench.tasks()}
    assert [ended[task] for task in shot.locked_out] == ["succeeded"] * 2
