"""Progress of a training: reported step by step, and stopped early when the other side says so."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager

from .context import Reporter, RunContext, context, current

__all__ = ["RecordingReporter", "Reporter", "StopTraining", "report", "use_reporter"]

_log = logging.getLogger(__name__)


class StopTraining(Exception):  # noqa: N818  # control flow, not an error: a training that stops early has succeeded
    """End the training here and score what there is. Raised by :func:`report`, caught by the SDK.

    Args:
        step: The step at which it was decided.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"Stopped at step {step}.")
        self.step = step


class RecordingReporter:
    """Keep every report in memory: for notebooks and tests.

    Args:
        stop_at: Say "stop" at the first report whose step is at least this; ``None``: never.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.reports: list[tuple[int, dict[str, float]]] = []

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Record the report; return True from ``stop_at`` on."""
        self.reports.append((step, dict(metrics)))
        return self.stop_at is not None and step >= self.stop_at


def use_reporter(reporter: Reporter) -> AbstractContextManager[RunContext]:
    """Send the progress of what runs inside the ``with`` block to ``reporter``; everything else stays as it is."""
    return context(reporter=reporter)


def report(step: int, metrics: Mapping[str, float]) -> None:
    """Report the metrics reached at ``step`` of a training.

    Values that are not finite are left out: a diverged metric has no place on a curve.

    Args:
        step: How far the training is, in the unit of the fidelity (epochs, trees, percent); rises from call to call.
        metrics: Value by metric name.

    Raises:
        StopTraining: The other side wants the training to end here.
    """
    reporter = current().reporter
    if reporter is None:
        return
    values = {name: float(value) for name, value in metrics.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if len(finite) < len(values):
        _log.warning("Step %d: left out %s, not finite.", step, ", ".join(sorted(set(values) - set(finite))))
    if reporter.report(int(step), finite):
        raise StopTraining(int(step))
