"""One workload under its limits, from fork to exit, as its server sees it. It neither forks nor reads requests."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import descendants, memory_bytes, oom_kills

MEMORY_CHECK_S = 0.05
_STATUS_BYTES = 2**16
_LOG_TAIL_BYTES = 4096
# Signals that somebody sends; the others are what a process does to itself by crashing.
_SENT = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}


@dataclass(frozen=True)
class Bounds:
    """What a workload may use, and how long it may take to end after SIGTERM."""

    memory_bytes: int | None = None
    time_s: float | None = None
    grace_s: float = 2.0


class Supervised:
    """A process group and the reasons to end it.

    Args:
        pid: The leader of the group, just forked.
        bounds: Its limits.
        status_fd: The pipe on which the process says why it failed; not blocking.
        log_path: Its log; the end of it tells what native code died of.
    """

    def __init__(self, pid: int, bounds: Bounds, *, status_fd: int, log_path: str) -> None:
        now_s = time.monotonic()
        self.pid = pid
        self.status_fd = status_fd
        self._bounds = bounds
        self._log_path = log_path
        self._started_s = now_s
        self._timeout_at_s = math.inf if bounds.time_s is None else now_s + bounds.time_s
        self._memory_at_s = math.inf if bounds.memory_bytes is None else now_s + MEMORY_CHECK_S
        self._kill_at_s = math.inf
        self._verdict: tuple[str, str] | None = None
        self._peak_bytes = 0
        self._oom_kills = oom_kills()

    @property
    def next_check_s(self) -> float:
        """The monotonic time at which :meth:`check` has something to do."""
        return min(self._timeout_at_s, self._memory_at_s, self._kill_at_s)

    def check(self, now_s: float) -> None:
        """Enforce the limits."""
        if now_s >= self._timeout_at_s:
            self.terminate("timeout", f"It ran longer than {self._bounds.time_s:g} s.", now_s=now_s)
        if now_s >= self._memory_at_s:
            self._check_memory()
            self._memory_at_s = now_s + MEMORY_CHECK_S
        if now_s >= self._kill_at_s:
            self._kill_at_s = math.inf
            self.signal(signal.SIGKILL)

    def terminate(self, cause: str, message: str, *, now_s: float) -> None:
        """Ask the whole group to end, and kill it when the grace has passed. The first cause is the one that counts."""
        if self._verdict is not None:
            return
        self._verdict = (cause, message)
        self._timeout_at_s = math.inf
        self._kill_at_s = now_s + self._bounds.grace_s
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the group and to what has left it for a session of its own, once to each."""
        below = descendants(self.pid)
        if not _send(os.killpg, self.pid, number):
            _send(os.kill, self.pid, number)  # right after the fork there is no such group yet
        for pid in below:
            if _group_of(pid) != self.pid:
                _send(os.kill, pid, number)

    def reap(self, now_s: float) -> dict[str, Any]:
        """Collect the process, which has ended, and return its exit as a message.

        The group is killed before its leader is reaped: until then nobody else can get its number.
        """
        _send(os.killpg, self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        reported = self._read_status()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        cause, message = self._verdict or self._judge(code, number, reported)
        return {
            "code": code,
            "signal": number,
            "cause": cause,
            "message": message,
            "duration_s": now_s - self._started_s,
            "peak_memory_bytes": self._peak(usage),
        }

    def _judge(
        self, code: int | None, number: int | None, reported: Mapping[str, str]
    ) -> tuple[str | None, str | None]:
        if number is None:
            if reported:
                return reported["cause"], reported["message"]
            return (None, None) if code == 0 else ("exception", f"It left with exit code {code}.")
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        if number == signal.SIGKILL and oom_kills() > self._oom_kills:
            return "out_of_memory", "The kernel killed it because memory ran out."
        if number in _SENT:
            return "killed", f"{name} was sent from outside."
        if number == signal.SIGABRT and self._bounds.memory_bytes is not None and "bad_alloc" in self._log_tail():
            return "out_of_memory", "Native code could not allocate memory within the limit."
        return "exception", f"It crashed with {name}."

    def _check_memory(self) -> None:
        limit = self._bounds.memory_bytes
        if limit is None:
            return
        held = memory_bytes([self.pid, *descendants(self.pid)], up_to_bytes=limit)
        self._peak_bytes = max(self._peak_bytes, held)
        if held > limit and self._verdict is None:
            self._verdict = ("out_of_memory", f"It held {_mib(held)} of memory; the limit is {_mib(limit)}.")
            self.signal(signal.SIGKILL)  # no grace: what it needs to end politely is what has run out

    def _peak(self, usage: resource.struct_rusage) -> int:
        return max(usage.ru_maxrss * 1024, self._peak_bytes)

    def _read_status(self) -> dict[str, str]:
        try:
            text = os.read(self.status_fd, _STATUS_BYTES)
            reported: dict[str, str] = json.loads(text) if text else {}
        except (BlockingIOError, ValueError):
            reported = {}  # it ended before it could say, and something that it started holds the pipe
        os.close(self.status_fd)
        return reported

    def _log_tail(self) -> str:
        try:
            with Path(self._log_path).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


def _send(call: Callable[[int, int], None], target: int, number: signal.Signals) -> bool:
    try:
        call(target, number)
    except (ProcessLookupError, PermissionError):
        return False  # it has ended, or changed its user
    return True


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
