"""What a local run tells while it goes and gives back at its end. Plain values, without any type of kfp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...errors import OmniForgeError

TaskState = Literal["started", "succeeded", "failed", "retrying", "skipped", "cancelled"]


class RunStoppedError(OmniForgeError, RuntimeError):
    """The caller's stop event ended a run before it was done; every task has been stopped."""


@dataclass(frozen=True)
class Artifact:
    """A file or folder that a task wrote.

    Args:
        name: The output's name.
        type: The schema's title, such as ``"system.Model"``.
        uri: Where it is; a path on this machine.
        metadata: What the component recorded about it.
        version: The schema's version.
    """

    name: str
    type: str
    uri: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    version: str = "0.0.1"

    @property
    def path(self) -> Path:
        """The file or folder."""
        return Path(self.uri)


@dataclass(frozen=True)
class TaskEvent:
    """A task has changed its state.

    Args:
        task: The task's name in this run: ``worker.2`` is the third iteration, ``inner/start`` is in a nested pipeline.
        label: The name to show, which the author may have set.
        state: What has happened.
        at_s: Seconds since the run began.
        attempt: 1 for the first try.
        log_path: The log of this attempt; None for a task that was skipped.
        duration_s: How long the attempt took; None unless it has ended.
        message: Why it failed, in one line.
    """

    task: str
    label: str
    state: TaskState
    at_s: float
    attempt: int = 1
    log_path: Path | None = None
    duration_s: float | None = None
    message: str | None = None


@dataclass(frozen=True)
class TaskResult:
    """A task that has succeeded.

    Args:
        task: The task's name in this run.
        component: The component's name in the pipeline, without ``comp-``.
        outputs: Output parameters by name.
        artifacts: Output artifacts by name.
        folder: The folder with its log, inputs and outputs.
        log_path: The log of the attempt that succeeded.
        duration_s: How long that attempt took.
        attempt: Which attempt succeeded, from 1.
    """

    task: str
    component: str
    outputs: Mapping[str, Any]
    artifacts: Mapping[str, Artifact]
    folder: Path
    log_path: Path
    duration_s: float
    attempt: int = 1


@dataclass(frozen=True)
class RunResult:
    """A run whose tasks have all succeeded.

    Args:
        folder: The run's folder.
        tasks: What every task gave, by the task's name; skipped branches are absent.
        outputs: The pipeline's own outputs: parameters and artifacts (a list of them where a loop made several).
        duration_s: How long the run took.
    """

    folder: Path
    tasks: Mapping[str, TaskResult]
    outputs: Mapping[str, Any]
    duration_s: float
