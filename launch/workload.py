"""What is launched and how it ended: the contract of every launcher. It starts nothing itself."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from ..errors import SpecError

Cause = Literal["out_of_memory", "timeout", "killed", "cancelled", "exception"]
"""Why a workload did not succeed.

``out_of_memory``: it passed its memory limit, raised a MemoryError, or the kernel ended it for memory. ``timeout``:
it passed its time limit. ``killed``: somebody else sent the signal, or its launcher's server died; the same workload
may succeed when it is launched again. ``cancelled``: its owner ended it. ``exception``: it raised, left with another
exit code than 0, or crashed.
"""

_ENTRY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Limits:
    """What a workload may use, all its processes together.

    Args:
        memory_bytes: Memory that the workload may hold: anonymous and shared pages, each shared page divided among
            those who share it (so that what a fork server has preloaded is charged in part only). Pages of files,
            such as libraries and memory-mapped arrays, do not count: the kernel can drop them. ``None``: no limit.
        time_s: Seconds from launch to exit. ``None``: no limit.

    Raises:
        SpecError: A limit is not positive.
    """

    memory_bytes: int | None = None
    time_s: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("memory_bytes", self.memory_bytes), ("time_s", self.time_s)):
            if value is not None and not value > 0:
                raise SpecError(f"Limit {name} = {value!r} must be above 0.", hint="None means: no limit.")


@dataclass(frozen=True)
class Workload:
    """A function to call in a process of its own.

    Args:
        name: What it is called in messages.
        entry: ``"module:function"``. The function takes the payload; its return is success, an exception is failure.
        payload: A JSON object of any size.
        env: Environment variables on top of the launching process's own. ``PYTHONPATH`` is searched before the
            launching process's module path, which is handed on; ``OMP_NUM_THREADS`` also holds for libraries that are
            loaded already.
        limits: Memory and time.
        log_path: Where stdout and stderr go, appended line by line; its folder is created.
        cwd: The working directory; the launching process's when ``None``.

    Raises:
        SpecError: The entry has another form.
    """

    name: str
    entry: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    log_path: Path = field(kw_only=True)
    cwd: Path | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _ENTRY.fullmatch(self.entry):
            raise SpecError(
                f"Entry {self.entry!r} of workload {self.name!r} is not of the form 'module:function'.",
                hint="Name an importable module and a function in it that takes the payload.",
            )


@dataclass(frozen=True)
class Exit:
    """How a workload ended.

    Args:
        code: The exit code; ``None`` when a signal ended it.
        signal: The number of the signal that ended it.
        cause: Why it did not succeed; ``None`` for success.
        duration_s: Seconds from launch to exit.
        peak_memory_bytes: The most resident memory that its largest process held, or (if more, and where a memory limit
            was watched) that all of its processes held together. Preloaded modules are included.
        message: One line about the cause, such as ``"ValueError: ..."``.
    """

    code: int | None
    signal: int | None
    cause: Cause | None
    duration_s: float
    peak_memory_bytes: int | None = None
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the workload did what it was launched for."""
        return self.cause is None and self.code == 0

    def __str__(self) -> str:
        how = f"signal {self.signal}" if self.signal is not None else f"exit code {self.code}"
        return ", ".join(part for part in (self.cause, self.message, how) if part)


class Handle(Protocol):
    """A launched workload. Its methods may be called from any thread."""

    @property
    def pid(self) -> int:
        """The process, which leads a process group and session of its own."""

    def poll(self) -> Exit | None:
        """Return how it ended, or None while it runs."""

    def wait(self, timeout_s: float | None = None) -> Exit | None:
        """Wait until it has ended and return how; None when ``timeout_s`` passed first."""

    def cancel(self) -> None:
        """End it and all that it started, by SIGTERM, then SIGKILL. Returns at once; what has ended stays as it is."""

    def logs(self) -> str:
        """Return what this launch has written to its log so far."""


class Launcher(ABC):
    """Start workloads. Closing it, or the death of its process, ends all of them."""

    @abstractmethod
    def launch(self, workload: Workload) -> Handle:
        """Start a workload.

        Raises:
            SpecError: The workload cannot be written as JSON or its ``cwd`` is no folder.
            LaunchError: It could not be started; carries what the system said.
        """

    @abstractmethod
    def close(self) -> None:
        """End what still runs and release everything; closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
