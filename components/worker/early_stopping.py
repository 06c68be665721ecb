"""Whether a candidate's training goes on: its curve against the curves of the tasks that came before."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...search import Objective
    from ...store import Store, TaskRecord

REFRESH_S = 2.0
RECORD_EVERY_S = 0.2


class EarlyStopping:
    """Record a task's progress and decide by a rule; safe to call from the sidecar's threads.

    Args:
        store: The record of work.
        task: The task that is being trained.
        objective: The primary objective.
        enabled: Only record when false.
        rule: ``median``, or ``learning-curve``: by a forecast of the value at the end of the task's fidelity.
    """

    def __init__(
        self, store: Store, task: TaskRecord, *, objective: Objective, enabled: bool, rule: str = "median"
    ) -> None:
        from ...search.stopping import LearningCurveStopping, MedianStopping

        self._store = store
        self._task = task
        self._objective = objective
        self._enabled = enabled
        self._median = MedianStopping()
        self._forecast = LearningCurveStopping() if rule == "learning-curve" else None
        self._own: list[tuple[int, float]] = []
        self._lock = threading.Lock()
        self._recorded_at = 0.0
        self._read_at = 0.0
        self._curves: list[list[tuple[int, float]]] = []
        self._best: float | None = None
        self.stopped_at: int | None = None

    def __call__(self, step: int, metrics: dict[str, float]) -> bool:
        """Return whether the training should stop now."""
        value = metrics.get(self._objective.metric)
        if value is None:
            return False
        with self._lock:
            known = value if self._best is None else self._best
            best = self._best = max(value, known) if self._objective.goal == "max" else min(value, known)
            now = time.monotonic()
            if now - self._recorded_at >= RECORD_EVERY_S:
                self._recorded_at = now
                self._store.broker.progress(self._task, step, metrics)
            if not self._enabled:
                return False
            self._refresh(now)
            self._own.append((step, value))
            if self._stops(step, best):
                self.stopped_at = step
                return True
            return False

    def _stops(self, step: int, best: float) -> bool:
        goal = self._objective.goal
        if self._forecast is None:
            return self._median.should_stop(step, best, self._curves, goal)
        if not self._task.fidelity:  # nobody knows where it will end
            return False
        last = math.prod(self._task.fidelity.values())
        return self._forecast.should_stop(self._own, self._curves, goal, last=last)

    def _refresh(self, now: float) -> None:
        """Read the other tasks' curves, at most every two seconds."""
        if self._read_at and now - self._read_at < REFRESH_S:
            return
        self._read_at = now
        curves = self._store.broker.curves(self._task.job_id, phase=self._task.phase)
        metric = self._objective.metric
        self._curves = [
            [(step, metrics[metric]) for step, metrics in curve if metric in metrics]
            for task_id, curve in curves.items()
            if task_id != self._task.id
        ]
