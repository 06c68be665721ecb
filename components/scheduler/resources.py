"""What this machine has to give: cores and memory, as the operating system and its control group limit them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Resources:
    """Cores and free memory (bytes) that a job may count on."""

    cores: int
    memory_bytes: int


def machine_resources(cgroup: Path = CGROUP) -> Resources:
    """Measure them now; a container's limits count, not the host's."""
    import psutil

    cores = len(os.sched_getaffinity(0))
    quota = _cpu_quota(cgroup / "cpu.max")
    if quota is not None:
        cores = max(1, min(cores, int(quota)))
    memory = psutil.virtual_memory().available
    limit = _number(cgroup / "memory.max")
    used = _number(cgroup / "memory.current")
    if limit is not None and used is not None:
        memory = min(memory, max(0, limit - used))
    return Resources(cores, memory)


def _cpu_quota(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else float(quota) / float(period)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
