"""Why a component failed, in one line and in full: from its own record, its log and how its process ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ...errors import ComponentError

_HEADER = "Traceback (most recent call last):"
_CHAINS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_CAUSES = {
    "out_of_memory": "It ran out of memory",
    "timeout": "It took longer than its time limit",
    "killed": "It was killed",
    "cancelled": "It was cancelled",
}


class Ending(Protocol):
    """How a process ended, as :class:`omniforge.launch.Exit` says it."""

    @property
    def code(self) -> int | None:
        """The exit code; None when a signal ended it."""

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""

    @property
    def cause(self) -> str | None:
        """The launcher's word for it."""

    @property
    def message(self) -> str | None:
        """One line about the cause."""


def component_error(
    task: str, ending: Ending, *, record: Mapping[str, Any] | None, log: str, log_path: Path
) -> ComponentError:
    """Return the error that names a failed task.

    Args:
        task: The task's name in the run.
        ending: How its process ended.
        record: What the component recorded about its exception, if it could.
        log: The text of its log.
        log_path: Where the log is.
    """
    traceback = last_traceback(log)
    if record is not None:
        message = f"{record['type']}: {record['message']}".removesuffix(": ")
        hint = record.get("hint") or f"The log is {log_path}."
    else:
        message = _ending_line(ending, traceback)
        hint = f"The log is {log_path}."
    error = ComponentError(task, message, details=traceback or _tail(log), hint=hint)
    if record is not None:
        # A component's InputError is the caller's, as it is without a pipeline.
        error.exit_code = int(record.get("exit_code", 1))
        error.retryable = bool(record.get("retryable", False))
    return error


def last_traceback(log: str) -> str:
    """Return the last traceback in a log with the exceptions that it was raised from; empty when there is none."""
    lines = log.splitlines()
    starts = [i for i, line in enumerate(lines) if line.strip() == _HEADER]
    if not starts:
        return ""
    first = starts.pop()
    while starts and any(line.strip() in _CHAINS for line in lines[starts[-1] : first]):
        first = starts.pop()
    return "\n".join(lines[first:]).rstrip()


def exception_line(traceback: str) -> str:
    """Return the line of a traceback that names the exception, without the exception's module."""
    lines = traceback.splitlines()
    starts = [i for i, line in enumerate(lines) if line.strip() == _HEADER]
    for line in lines[starts[-1] + 1 :] if starts else []:
        if line and not line[0].isspace():
            name, colon, text = line.partition(":")
            return name.rpartition(".")[2] + colon + text
    return ""


def _ending_line(ending: Ending, traceback: str) -> str:
    cause = _CAUSES.get(ending.cause or "")
    if cause is None:
        line = exception_line(traceback) or ending.message
        if line:
            return line
        cause = "Its process ended"
    if ending.signal is not None:
        return f"{cause} (signal {ending.signal})."
    return f"{cause}." if ending.cause in _CAUSES else f"{cause} with exit code {ending.code}."


def _tail(log: str, lines: int = 40) -> str:
    return "\n".join(log.splitlines()[-lines:])
