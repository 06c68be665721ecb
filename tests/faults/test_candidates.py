"""Candidates that fail in every way that candidates fail, in one search: each costs itself and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.bench import Bench, opened, small_disk

from omniforge.store import TaskRecord

pytestmark = pytest.mark.fault

FAULTS = ("kill", "eat", "hang", "fill")
SOUND = 3
MEMORY_MB = 400
TIME_S = 5.0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench after a search of seven candidates, of which four fail."""
    configs = [{"fault": fault, "strength": 1.0} for fault in FAULTS]
    configs += [{"fault": "none", "strength": 0.1 * (i + 1)} for i in range(SOUND)]
    with opened(tmp_path_factory.mktemp("candidates")) as made:
        with small_disk(made, made.faults / "disk"):
            made.run(
                trials=len(configs),
                strategy={"seeded": {"configs": configs, "then": "random"}},
                memory_mb=MEMORY_MB,
                trial_timeout_s=TIME_S,
            )
            assert made.end() == 0, made.said
        yield made


def task_of(bench: Bench, fault: str) -> TaskRecord:
    [task] = [task for task in bench.tasks() if task.config["fault"] == fault]
    return task


def test_the_search_has_every_task_once(bench: Bench) -> None:
    bench.assert_nothing_is_lost_or_counted_twice(len(FAULTS) + SOUND, succeeded=SOUND)
    assert {failure["cause"] for failure in bench.document()["failures"]} == {
        "killed",
        "out_of_memory",
        "timeout",
        "no_space",
    }


def test_one_that_is_killed_every_time_is_given_up_after_its_attempts(bench: Bench) -> None:
    task = task_of(bench, "kill")
    assert (task.state, task.cause, task.attempt) == ("failed", "killed", task.max_attempts)
    assert "SIGKILL" in str(task.message)
    released = [event["attempt"] for event in bench.events("task_released") if event["task"] == task.id]
    assert released == [1, 2, 3]


def test_one_that_eats_memory_is_ended_at_its_limit(bench: Bench) -> None:
    task = task_of(bench, "eat")
    assert (task.state, task.cause, task.attempt) == ("failed", "out_of_memory", 1)
    assert str(MEMORY_MB) in str(task.message)


def test_one_that_hangs_is_ended_at_its_time_limit_though_it_ignores_sigterm(bench: Bench) -> None:
    task = task_of(bench, "hang")
    assert (task.state, task.cause, task.attempt) == ("timeout", "timeout", 1)
    assert task.duration_s == pytest.approx(TIME_S, abs=6)


def test_one_that_meets_a_full_disk_says_so(bench: Bench) -> None:
    task = task_of(bench, "fill")
    assert (task.state, task.cause, task.attempt) == ("failed", "no_space", 1)
    assert str(task.message)


def test_nothing_is_left_of_them(bench: Bench) -> None:
    bench.until_nothing_is_left()
    assert list(bench.home.glob("jobs/*/scratch")) == []
