from __future__ import annotations

import pytest

from omniforge.components.scheduler.resources import Resources
from omniforge.components.scheduler.scheduler import allocate
from omniforge.errors import SpecError

GIB = 2**30


def test_one_worker_a_free_core() -> None:
    got = allocate(Resources(8, 64 * GIB), asked_workers=None, memory_bytes=GIB, trials=50, claimed_workers=[2, 1])
    assert got.workers == 5


def test_the_users_wish_counts_and_is_explained_when_it_exceeds_the_cores() -> None:
    got = allocate(Resources(2, 64 * GIB), asked_workers=4, memory_bytes=GIB, trials=50)
    assert got.workers == 4
    assert "share 2 cores" in " ".join(got.reasons)


def test_memory_limits_the_workers() -> None:
    got = allocate(Resources(8, 8 * GIB), asked_workers=6, memory_bytes=3 * GIB, trials=50)
    assert got.workers == 2
    assert "2 workers instead of 6" in " ".join(got.reasons)


def test_no_more_workers_than_trials() -> None:
    assert allocate(Resources(8, 64 * GIB), asked_workers=None, memory_bytes=None, trials=3).workers == 3


def test_too_little_memory_for_one_worker_is_an_error_with_figures() -> None:
    with pytest.raises(SpecError, match=r"may need 8.0 GiB, but 3.0 GiB"):
        allocate(Resources(8, 4 * GIB), asked_workers=None, memory_bytes=8 * GIB, trials=3)
