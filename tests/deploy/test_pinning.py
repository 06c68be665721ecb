from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniforge.deploy.pinning import _fastest, free_core, on_cores
from omniforge.errors import SpecError


def test_a_free_core_is_one_that_may_be_used_and_nothing_is_moved() -> None:
    before = os.sched_getaffinity(0)
    found = free_core()
    assert found is not None
    assert set(found) <= before
    assert len(found) == 1
    assert os.sched_getaffinity(0) == before


def test_with_one_core_there_is_no_choice() -> None:
    core = min(os.sched_getaffinity(0))
    with on_cores((core,)):
        assert free_core() == (core,)


def test_cores_are_left_after_the_block() -> None:
    before = os.sched_getaffinity(0)
    with on_cores((min(before),)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
    with on_cores(None):
        assert os.sched_getaffinity(0) == before


def test_a_core_that_is_not_there_is_named() -> None:
    with pytest.raises(SpecError, match="10000"), on_cores((10_000,)):
        pass


def test_only_the_fastest_kind_of_cores_counts(tmp_path: Path) -> None:
    for core, frequency in enumerate((1_500_000, 1_500_000, 2_400_000, 2_400_000)):
        (tmp_path / f"cpu{core}/cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{core}/cpufreq/cpuinfo_max_freq").write_text(f"{frequency}\n")
    assert _fastest([0, 1, 2, 3], tmp_path) == [2, 3]
    assert _fastest([0, 1], tmp_path) == [0, 1]
    assert _fastest([0, 7], tmp_path) == [0, 7]  # one of them says nothing
