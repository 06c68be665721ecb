"""Why the recommended task is the recommended one: what its neighbours on the Pareto front would cost. Values and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import leaderboard

if TYPE_CHECKING:
    from ..search import Objective
    from ..store import TaskRecord

_SMALL = 0.2
"""Changes of less than this part are told in percent, others as a factor."""


@dataclass(frozen=True)
class Explained:
    """The knee of a front.

    Attributes:
        task: The task at it.
        reason: Why it is recommended.
    """

    task: TaskRecord
    reason: str


def explain_knee(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> Explained | None:
    """Return the recommended task of several objectives, and why; None when no task has a value for each of them.

    Args:
        tasks: The tasks of a search.
        objectives: At least two.
    """
    knee = leaderboard.winner(tasks, objectives)
    if knee is None:
        return None
    front = leaderboard.pareto(tasks, objectives)
    optimized = [objective for objective in objectives if objective.optimized]
    if not front:
        return Explained(knee, f"No task keeps every bound ({_bounds(objectives)}); this one breaks them least.")
    if len(front) == 1:
        return Explained(knee, _alone(tasks, objectives, optimized))
    sentences = [f"It is where the front of {len(front)} tasks bends most."]
    primary = optimized[0]
    at = next(index for index, task in enumerate(front) if task.id == knee.id)
    if at > 0:
        sentences.append(_compare(knee, front[0], optimized, lead=f"The best in {primary.key}"))
    if at < len(front) - 1:
        sentences.append(_compare(knee, front[at + 1], optimized, lead=f"The next one with worse {primary.key}"))
    return Explained(knee, " ".join(sentences))


def _alone(tasks: Sequence[TaskRecord], objectives: Sequence[Objective], optimized: Sequence[Objective]) -> str:
    """Say why the front has one task only."""
    if len(leaderboard.scored(tasks, objectives)) == 1:
        return "It is the only task with a value for every objective."
    names = " and ".join(objective.key for objective in optimized)
    kept = " of those that keep every bound" if any(objective.bound is not None for objective in objectives) else ""
    return f"It is the best in {names}{kept}: nothing has to be traded."


def _compare(knee: TaskRecord, other: TaskRecord, objectives: Sequence[Objective], *, lead: str) -> str:
    """Say what the other task gains over the knee, and what it costs."""
    gains: list[str] = []
    costs: list[str] = []
    for objective in objectives:
        ours, theirs = knee.rewards[objective.key], other.rewards[objective.key]
        if ours != theirs:
            better = objective.sign * (theirs - ours) > 0
            (gains if better else costs).append(f"{objective.key} {_change(ours, theirs)}")
    gained, cost = " and ".join(gains) or "nothing", " and ".join(costs) or "nothing"
    return f"{lead} (task {other.number}) would gain {gained}, for {cost}."


def _change(before: float, after: float) -> str:
    """Return ``0.94 instead of 0.95 (-1.1 %)`` or ``12 instead of 3 (4 x)``."""
    shown = f"{after:.4g} instead of {before:.4g}"
    if before <= 0 or after <= 0:
        return shown
    ratio = after / before
    if abs(ratio - 1) < _SMALL:
        return f"{shown} ({100 * (ratio - 1):+.1f} %)"
    return f"{shown} ({max(ratio, 1 / ratio):.3g} x {'more' if ratio > 1 else 'less'})"


def _bounds(objectives: Sequence[Objective]) -> str:
    bounded = [objective for objective in objectives if objective.bound is not None]
    return ", ".join(f"{o.key} {'>=' if o.goal == 'max' else '<='} {o.bound:g}" for o in bounded)
