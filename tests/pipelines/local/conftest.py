"""A launcher without processes, and the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import LaunchError
from omniforge.launch import Exit, ForkLauncher, Launcher, Workload

TRACEBACK = 'Traceback (most recent call last):\n  File "component.py", line 3, in {name}\nValueError: {message}\n'


@dataclass
class FakeHandle:
    """Ends after it has been waited for a number of times, as its launcher's script says."""

    launcher: FakeLauncher
    workload: Workload
    waits_left: int
    pid: int = 1
    ending: Exit | None = None

    def poll(self) -> Exit | None:
        return self.ending

    def wait(self, timeout_s: float | None = None) -> Exit | None:
        self.launcher.tick()
        while timeout_s is None and self.ending is None:
            self.launcher.tick()
        return self.ending

    def cancel(self) -> None:
        if self.ending is None:
            self.ending = Exit(None, 15, "cancelled", 0.0)
            self.launcher.cancelled.append(self.workload.name)

    def logs(self) -> str:
        return self.workload.log_path.read_text()


@dataclass
class FakeLauncher(Launcher):
    """Starts nothing: every workload writes the outputs that the script has for it and ends.

    Args:
        outputs: Output parameters by task; a task that is not here writes ``Output``, the text "done".
        failures: What a task raises, by task, first attempt first; after them it succeeds.
        waits: For how many waits a task runs, by task; 1 by default.
        refused: Tasks that cannot be launched.
        on_tick: Called at every wait, with the number of the wait.
    """

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    waits: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    on_tick: Callable[[int], None] = lambda tick: None
    launched: list[str] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    handles: list[FakeHandle] = field(default_factory=list)
    most_at_once: int = 0
    ticks: int = 0

    def launch(self, workload: Workload) -> FakeHandle:
        if workload.name in self.refused:
            raise LaunchError("no more processes")
        workload.log_path.touch()
        handle = FakeHandle(self, workload, self.waits.get(workload.name, 1))
        self.handles.append(handle)
        self.launched.append(workload.name)
        self.workloads.append(workload)
        self.most_at_once = max(self.most_at_once, len(self.running()))
        return handle

    def close(self) -> None:
        pass

    def running(self) -> list[FakeHandle]:
        return [handle for handle in self.handles if handle.ending is None]

    def tick(self) -> None:
        self.ticks += 1
        self.on_tick(self.ticks)
        for handle in self.running():
            handle.waits_left -= 1
            if handle.waits_left <= 0:
                handle.ending = self._end(handle.workload)

    def _end(self, workload: Workload) -> Exit:
        failures = self.failures.get(workload.name, [])
        if failures:
            with workload.log_path.open("a") as log:
                log.write(TRACEBACK.format(name=workload.name, message=failures.pop(0)))
            return Exit(1, None, "exception", 0.1)
        values = self.outputs.get(workload.name, {"Output": "done"})
        folder = Path(workload.payload["folder"])
        (folder / "executor_output.json").write_text(json.dumps({"parameterValues": values}))
        return Exit(0, None, None, 0.1)


@pytest.fixture
def fake() -> type[FakeLauncher]:
    return FakeLauncher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with ForkLauncher(preload=["omniforge.pipelines.local.warm"]) as opened:
        yield opened
