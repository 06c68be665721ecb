"""What the record of a task says of its measurements: made, left out on purpose, or missing because a device was away.

It measures nothing; the worker writes these words and the job estimator, the documents and the report read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..store import TaskRecord

DEVICE_LOST = "device_lost"
"""The cause of a task whose device was away or busy: it has its scores, and lacks what the device would have said."""

SKIPPED = "not_measured"
"""The cause of a task that was hopeless whatever the device would have said."""

_PREDICTED = "predicted_"
_CANCELLED = "cancelled"


def as_predicted(expected: Mapping[str, float]) -> dict[str, float]:
    """Return predictions under names that nobody takes for measurements."""
    return {f"{_PREDICTED}{name}": value for name, value in expected.items()}


def told(task: TaskRecord, keys: Iterable[str]) -> tuple[dict[str, float], str]:
    """Return the metrics and the state by which a strategy learns from a task.

    What was predicted of a task that was left out stands in for its measurements, here only. A task whose device was away
    did not fail: without its metrics it says nothing, as if it had been cancelled.

    Args:
        task: The task, ended.
        keys: The keys of the objectives.
    """
    rewards = dict(task.rewards)
    if task.cause == SKIPPED:
        expected = {name.removeprefix(_PREDICTED): v for name, v in rewards.items() if name.startswith(_PREDICTED)}
        return expected | rewards, task.state
    if task.cause == DEVICE_LOST and any(key not in rewards for key in keys):
        return rewards, _CANCELLED
    return rewards, task.state


def unmeasured(tasks: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return the tasks that succeeded and lack measurements."""
    return [task for task in tasks if task.state == "succeeded" and task.cause in (DEVICE_LOST, SKIPPED)]
