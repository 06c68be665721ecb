"""The processes that a server has started: forked, watched, reaped, swept up after. It knows nothing of connections."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from . import child
from .processes import children
from .supervision import Bounds, Supervised

BLOCKED = frozenset({signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP})
"""The signals that are held back while the server forks, so that its handlers never run in a child."""

_SWEEP_S = 1.0
_SWEEP_STEP_S = 0.005


class Family:
    """All workloads and servers below one server, which must be the reaper of their orphans."""

    def __init__(self) -> None:
        self._members: dict[int, Supervised] = {}
        self._left: list[tuple[Supervised, dict[str, Any]]] = []  # reaped, but what they left behind may still be dying
        self._sweep_until_s = 0.0

    def __len__(self) -> int:
        return len(self._members) + len(self._left)

    def __iter__(self) -> Iterator[Supervised]:
        return iter(self._members.values())

    @property
    def next_check_s(self) -> float:
        """The monotonic time at which :meth:`check` or :meth:`reap` has something to do by itself."""
        at_s = min((member.next_check_s for member in self), default=math.inf)
        return min(at_s, time.monotonic() + _SWEEP_STEP_S) if self._left else at_s

    def fork(self, log_path: str, bounds: Bounds, *, leave: Callable[[], None], reports: bool) -> tuple[int, int]:
        """Fork a process that leads a session of its own and writes to the log.

        Args:
            log_path: The file that its output is appended to.
            bounds: Its limits.
            leave: Called in the child to close what belongs to the server.
            reports: Whether it says why it failed; what does not is a server, which is asked to end when this one dies.

        Returns:
            In the parent the child's pid and -1; in the child 0 and the file descriptor that takes the cause.

        Raises:
            OSError: The log cannot be opened, or there can be no more processes.
        """
        server_pid = os.getpid()
        log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                _become(server_pid, log_fd, leave=leave, reports=reports)
                return 0, writer
            os.set_blocking(reader, False)
            self._members[pid] = Supervised(pid, bounds, status_fd=reader, log_path=log_path)
        except OSError:
            os.close(reader)
            raise
        finally:
            if os.getpid() == server_pid:
                os.close(log_fd)
                os.close(writer)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
        return pid, -1

    def check(self) -> None:
        """Enforce the limits of every member."""
        now_s = time.monotonic()
        for member in self:
            if now_s >= member.next_check_s:
                member.check(now_s)

    def terminate(self, cause: str, message: str, *, pid: int | None = None) -> None:
        """Ask every member to end, or the one with that pid if it has not ended yet."""
        now_s = time.monotonic()
        for member in self:
            if pid is None or member.pid == pid:
                member.terminate(cause, message, now_s=now_s)

    def reap(self) -> list[tuple[int, dict[str, Any]]]:
        """Collect what has ended; return the pid and the exit of each member of which nothing is left."""
        while (ended := _next_ended()) is not None:
            member = self._members.pop(ended, None)
            if member is None:
                os.waitpid(ended, 0)  # an orphan of a member that ended before
                continue
            self._left.append((member, member.reap(time.monotonic())))
            self._sweep_until_s = time.monotonic() + _SWEEP_S
        if not self._left:
            return []
        # Members adopt their orphans: a child of this process that is no member was left by a member that is dead.
        orphans = children(os.getpid()) - self._members.keys()
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        if orphans and time.monotonic() < self._sweep_until_s:
            return []
        gone, self._left = self._left, []
        return [(member.pid, ending) for member, ending in gone]

    def abandon(self) -> None:
        """Close, in a forked child, the pipes of the members: they are its siblings."""
        for member in self:
            os.close(member.status_fd)


def _become(server_pid: int, log_fd: int, *, leave: Callable[[], None], reports: bool) -> None:
    """Turn a forked process into one of its own; it must never return into the server's error handling."""
    try:
        leave()
        child.detach(server_pid, log_fd, death_signal=signal.SIGKILL if reports else signal.SIGTERM)
    except BaseException:  # noqa: BLE001  # whatever it is, this process must not go on as a second server
        traceback.print_exc()
        os._exit(1)


def _next_ended() -> int | None:
    """Return a child that has ended and is not reaped yet; it stays so, and keeps its number."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None
