"""A disk is full while a job saves: the job says so and ends, and goes on once there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from faults.bench import SOUND, Bench, mounted, opened, small_disk, unmount

pytestmark = pytest.mark.fault

TRIALS = 5
HOME_BYTES = 64 * 2**20
RECORD_BYTES = 2**15


def test_the_winner_cannot_be_saved(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.hold()
        bench.run(trials=TRIALS, strategy="random", space=SOUND)
        bench.until_held()
        with small_disk(bench, bench.home / "jobs" / bench.job / "final"):
            bench.release()
            assert bench.end() == 1
        document = bench.document()
        assert document["state"] == "failed"
        assert "no_space" in document["error"]
        assert document["model"] is None
        assert {task.cause for task in bench.tasks("final")} == {"no_space"}
        searched = bench.tasks()

        assert bench.call("jobs", "resume", bench.job, "--quiet") == 0, bench.said
        bench.assert_nothing_is_lost_or_counted_twice(TRIALS)
        assert bench.tasks() == searched
        assert bench.document()["model"] == "job/1"
        bench.until_nothing_is_left()


def test_the_record_of_work_cannot_be_saved(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    own_disk = mounted(home, size_bytes=HOME_BYTES)
    try:
        with opened(tmp_path) as bench:
            bench.hold(after=2)
            bench.run(trials=TRIALS, strategy="random", space=SOUND)
            bench.until_held()
            with full_disk(bench, own_disk=own_disk):
                bench.release()
                assert bench.end() != 0
                assert "failed: StoreError: The store" in bench.said
                bench.until_nothing_is_left()

            assert bench.call("jobs", "resume", bench.job, "--quiet") == 0, bench.said
            bench.assert_nothing_is_lost_or_counted_twice(TRIALS)
    finally:
        if own_disk:
            unmount(home)


@contextmanager
def full_disk(bench: Bench, *, own_disk: bool) -> Iterator[None]:
    """Let the processes of the bench write no more: fill the disk, or else limit the size of their files."""
    if not own_disk:
        for pid in bench.processes():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (RECORD_BYTES, RECORD_BYTES))
        yield
        return
    filler = bench.home / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**12))
    yield
    filler.unlink()
