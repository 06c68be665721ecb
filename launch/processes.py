"""What the kernel says about processes: their trees, memory and threads. It reads ``/proc`` and ends nothing."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_OOM_COUNTERS = (
    # (file, key): control groups version 2 and 1 as a container sees them, and the whole kernel
    (Path("/sys/fs/cgroup/memory.events"), "oom_kill"),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), "oom_kill"),
    (Path("/proc/vmstat"), "oom_kill"),
)
# Background threads of allocators that come back by themselves in a forked child.
_THREADS_THAT_FORK = ("jemalloc_bg_thd",)

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent is gone; end at once if it already is."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that none escapes by ``setsid``."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def flush_c_streams() -> None:
    """Write out what C code has printed and not flushed; ``os._exit`` would lose it, ``fork`` would double it."""
    _libc.fflush(None)


def children(pid: int) -> set[int]:
    """Return the processes whose parent is ``pid``, zombies included."""
    if not _kernel_lists_children():
        return {child for child, parent in _parents() if parent == pid}
    found: set[int] = set()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # a tick of the watcher: names are enough
            found.update(int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split())
    except OSError:
        pass  # it ended while it was read
    return found


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``, parents first; ``pid`` itself is not among them."""
    found: list[int] = []
    frontier = [pid]
    while frontier:
        below = [child for parent in frontier for child in sorted(children(parent)) if child not in found]
        found.extend(below)
        frontier = below
    return found


def memory_bytes(pids: Iterable[int], *, up_to_bytes: int | None = None) -> int:
    """Return the memory that processes hold together.

    Anonymous and shared pages and what is swapped out, each page divided among those who share it. Pages of files are
    left out. That takes milliseconds for a large process; so a bound that is cheap to read, in which shared pages
    count in full for everyone, is returned instead while it is not above ``up_to_bytes``.
    """
    members = list(pids)
    bound = sum(_resident_bytes(pid) for pid in members)
    if up_to_bytes is not None and bound <= up_to_bytes:
        return bound
    return min(bound, sum(_proportional_bytes(pid) for pid in members))


def data_bytes() -> int:
    """Return the size of this process's private writable memory, touched or not: what RLIMIT_DATA bounds."""
    return _fields("/proc/self/status", ("VmData",)).get("VmData", 0)


def lasting_threads() -> list[str]:
    """Return the names of the other threads of this process that a fork would lose for good.

    Libraries that know about fork (OpenBLAS) end their threads before one and start them again when needed, so a
    child is forked and thrown away before the threads are counted.
    """
    if not _threads():
        return []
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return [name for name in _threads().values() if name not in _THREADS_THAT_FORK]


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def oom_kills() -> int:
    """Return how often the kernel has killed a process for memory, as a number that only ever rises.

    It sums what the control group and the whole kernel count, because a container often shows only one of them.
    """
    return sum(_counter(path, key) for path, key in _OOM_COUNTERS)


def volunteer_for_oom_kill() -> None:
    """Ask the kernel to prefer this process, and not its owner, when the machine runs out of memory."""
    with suppress(OSError):  # it is a preference; a sandbox may forbid it
        Path("/proc/self/oom_score_adj").write_text("500")


def _counter(path: Path, key: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(value) for name, _, value in (line.partition(" ") for line in lines) if name == key)


def _threads() -> dict[int, str]:
    """Return the names of this process's threads by id, without the calling one's."""
    own = os.getpid()
    names: dict[int, str] = {}
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208
        if int(task) != own:
            try:
                names[int(task)] = _read(f"/proc/self/task/{task}/comm").strip()
            except OSError:
                continue  # it ended
    return names


def _resident_bytes(pid: int) -> int:
    fields = _fields(f"/proc/{pid}/status", ("RssAnon", "RssShmem", "VmSwap"))
    if fields or not Path(f"/proc/{pid}").exists():
        return sum(fields.values())
    try:
        _, resident, shared = (int(n) for n in _read(f"/proc/{pid}/statm").split()[:3])
    except OSError:
        return 0
    return (resident - shared) * _PAGE_BYTES  # a kernel that does not tell the kinds apart


def _proportional_bytes(pid: int) -> int:
    fields = _fields(f"/proc/{pid}/smaps_rollup", ("Pss_Anon", "Pss_Shmem", "SwapPss"))
    return sum(fields.values()) if fields else _resident_bytes(pid)


def _fields(path: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return the named ``Name:  123 kB`` lines of a file in bytes; those that it does not have are absent."""
    try:
        lines = _read(path).splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: int(value.split()[0]) * 1024 for name, _, value in pairs if name in names}


@cache
def _kernel_lists_children() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _parents() -> Iterator[tuple[int, int]]:
    """Yield every process with its parent."""
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                yield int(name), int(_read(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
            except OSError:
                continue


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # twenty times a second: no Path
        return file.read()
