from __future__ import annotations

import os
from pathlib import Path

from omniforge.components.scheduler.resources import machine_resources


def test_this_machine(tmp_path: Path) -> None:
    found = machine_resources(tmp_path)
    assert 1 <= found.cores <= len(os.sched_getaffinity(0))
    assert found.memory_bytes > 0


def test_a_container_gets_what_its_control_group_allows(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "memory.current").write_text("73741824\n")
    found = machine_resources(tmp_path)
    assert found.cores == 1
    assert found.memory_bytes <= 1_000_000_000


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_resources(tmp_path).cores == len(os.sched_getaffinity(0))
