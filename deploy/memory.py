"""How much memory a piece of work adds to this process at its peak."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

_MIB = 1024 * 1024


class PeakMemory:
    """Measure the peak of resident memory between :meth:`start` and :meth:`read_mb`.

    On Linux the kernel's high-water mark (``VmHWM``) is set back through ``clear_refs``, which repeats within about
    0.1 MiB in a fresh process. Where that is forbidden, the growth of what is resident now and of the process's
    all-time peak is taken: it misses a peak below an earlier one.

    Args:
        proc: The process's folder in procfs.
    """

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc
        self.source = "none"
        self._resident = 0
        self._peak = 0

    def start(self) -> None:
        """Begin: hand free memory back to the system and set the high-water mark to what is resident now."""
        _trim_heap()
        try:
            (self._proc / "clear_refs").write_text("5", encoding="ascii")
            self.source = "VmHWM"
        except OSError:
            self.source = "growth"
        self._resident = self._status("VmRSS")
        self._peak = _all_time_peak()
        if self._resident == 0:
            self.source = "none"

    def read_mb(self) -> float | None:
        """Return the peak since :meth:`start` above what was resident then, in MiB; ``None`` if it is unknown."""
        if self.source == "VmHWM":
            return max(self._status("VmHWM") - self._resident, 0) / _MIB
        if self.source == "growth":
            return max(self._status("VmRSS") - self._resident, _all_time_peak() - self._peak, 0) / _MIB
        return None

    def _status(self, field: str) -> int:
        """Return a field of ``/proc/self/status`` in bytes; 0 if there is none."""
        try:
            lines = (self._proc / "status").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return 0
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """Return what is resident of a process; 0 where that is unknown.

    Args:
        pid: The process's id.
        proc: Where procfs is.
    """
    try:
        return int((proc / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def group_resident_bytes(leader: int, proc: Path = Path("/proc")) -> int:
    """Return what is resident in the processes of a process group; pages that they share count for each.

    Args:
        leader: The process id of the group's leader.
        proc: Where procfs is; without one it is 0.
    """
    total = 0
    for status in proc.glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[2]) == leader:
            total += int(fields[21]) * resource.getpagesize()
    return total


def _all_time_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux


def _trim_heap() -> None:
    """Give the allocator's free pages back, else an earlier model's pages are used again and seem to cost nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
