"""Keep the measuring thread on one core, and find one that is free. It moves nothing but the thread that asks."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SpecError

_TRIED = 4
_TRY_S = 0.008  # longer than a time slice, so that a core that is shared shows


@contextmanager
def on_cores(cpus: tuple[int, ...] | None) -> Iterator[None]:
    """Keep this thread, and the threads that it starts, on ``cpus``.

    Args:
        cpus: The cores' numbers; ``None``: wherever the system puts it.

    Raises:
        SpecError: This process may not use one of them.
    """
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as e:
        raise SpecError(f"cpus = {cpus}: cannot run there; this process may use {sorted(before)}.") from e
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_core(cpu_dir: Path = Path("/sys/devices/system/cpu")) -> tuple[int, ...] | None:
    """Return the core that gives this thread the most time, tried for a few milliseconds each; ``None`` if unknown.

    Where cores differ in their highest frequency, only the fastest kind is tried, so that each measurement gets the same
    kind; of many cores, four are.

    Args:
        cpu_dir: Where the system describes its cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    before = os.sched_getaffinity(0)
    cores = _fastest(sorted(before), cpu_dir)
    if len(cores) == 1:
        return (cores[0],)
    cores = cores[:: max(1, len(cores) // _TRIED)][:_TRIED]
    try:
        return (max(cores, key=_share),)
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def _fastest(cores: list[int], cpu_dir: Path) -> list[int]:
    """Return the cores whose highest frequency is the highest; all where the system does not say."""
    try:
        limits = [int((cpu_dir / f"cpu{core}/cpufreq/cpuinfo_max_freq").read_text(encoding="ascii")) for core in cores]
    except (OSError, ValueError):
        return cores
    return [core for core, limit in zip(cores, limits, strict=True) if limit >= 0.97 * max(limits)]


def _share(core: int) -> float:
    """Return which part of a short time this thread runs on ``core``."""
    os.sched_setaffinity(0, (core,))
    began, worked = time.perf_counter(), time.thread_time()
    while time.perf_counter() - began < _TRY_S:
        pass
    return (time.thread_time() - worked) / (time.perf_counter() - began)
