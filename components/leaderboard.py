"""Tasks in the order of their worth: the leaderboard, the Pareto front and the winner of a job. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..search import Objective, Reward
    from ..store import TaskRecord


def reward_of(task: TaskRecord) -> Reward:
    """Return a task's measurements as the search knows them."""
    from ..search import Candidate, Reward

    candidate = Candidate(task.config, task.fidelity, task.id)
    return Reward(candidate, dict(task.rewards), state=task.state, cause=task.cause, duration_s=task.duration_s)


def scored(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[TaskRecord]:
    """Return the succeeded tasks that have a value for every objective."""
    keys = [objective.key for objective in objectives]
    return [task for task in tasks if task.state == "succeeded" and all(key in task.rewards for key in keys)]


def known_objectives(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[Objective]:
    """Return all objectives, or, where no task has a value for each of them, those that some succeeded task has one for.

    The latter is so when a device was away all the time.
    """
    if scored(tasks, objectives):
        return list(objectives)
    done = [task for task in tasks if task.state == "succeeded"]
    return [objective for objective in objectives if any(objective.key in task.rewards for task in done)]


def spent(task: TaskRecord) -> float:
    """Return the fidelity of a task as one number; ``inf`` for a task without one, which is in full."""
    return math.inf if task.fidelity is None else math.prod(task.fidelity.values())


def fullest(tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
    """Return the tasks of the highest fidelity among them: less training says less, and is no rival to more."""
    highest = max((spent(task) for task in tasks), default=math.inf)
    return [task for task in tasks if spent(task) == highest]


def pareto(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[TaskRecord]:
    """Return the tasks of the highest fidelity that no other one of it beats in every objective, best primary value first.

    Bounds are respected.
    """
    from ..search import pareto_front

    candidates = fullest(scored(tasks, objectives))
    front = [candidates[i] for i in pareto_front([reward_of(task) for task in candidates], objectives)]
    primary = objectives[0]
    return sorted(front, key=lambda task: -primary.sign * task.rewards[primary.key])


def winner(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> TaskRecord | None:
    """Return the best task of the highest fidelity, for several objectives the knee of its Pareto front.

    ``None`` without a scored task.
    """
    from ..search.pareto import best, knee_point

    candidates = fullest(scored(tasks, objectives))
    if not candidates:
        return None
    rewards = [reward_of(task) for task in candidates]
    index = best(rewards, objectives) if len(objectives) == 1 else knee_point(rewards, objectives)
    return None if index is None else candidates[index]


def ranked(tasks: Sequence[TaskRecord], objectives: Sequence[Objective]) -> list[TaskRecord]:
    """Return the scored tasks: the winner first, then the front, then the rest; bounds kept before bounds broken.

    A higher fidelity comes before a lower one.
    """
    candidates = scored(tasks, objectives)
    on_front = {task.id for task in pareto(candidates, objectives)}
    first = winner(candidates, objectives)
    primary = objectives[0]

    def key(task: TaskRecord) -> tuple[bool, float, bool, bool, float]:
        kept = all(objective.satisfied(task.rewards[objective.key]) for objective in objectives)
        return (
            first is None or task.id != first.id,
            -spent(task),
            not kept,
            task.id not in on_front,
            -primary.sign * task.rewards[primary.key],
        )

    return sorted(candidates, key=key)


def row(task: TaskRecord) -> dict[str, Any]:
    """Return a task as the documented JSON shows it."""
    return {"task": task.number, "config": task.config, "rewards": task.rewards, "device": task.device}
