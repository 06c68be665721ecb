"""What earlier jobs taught: configurations that won on similar data. The formatter reads it, the advisor writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import RecordNotFoundError
from ..document import SEARCH, objectives_of
from ..leaderboard import ranked
from ..live_space import in_newest, space_versions
from ..spec import JobPlan

if TYPE_CHECKING:
    from ...estimators.bundle import Bundle
    from ...search import SearchSpace
    from ...store import JobRecord, Store

NEIGHBOURS = 3
MOST_TASKS = 80


@dataclass(frozen=True)
class Recalled:
    """Configurations to try first, best guess first, and where they come from."""

    configs: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def recall(
    store: Store, task_type: str, meta_features: Mapping[str, float], *, space: SearchSpace, bundle: Bundle
) -> Recalled:
    """Return the winners of the most similar earlier jobs of the same estimator that are valid in ``space``."""
    configs: list[dict[str, Any]] = []
    names: list[str] = []
    for row in store.knowledge.similar(task_type, dict(meta_features), k=4 * NEIGHBOURS):
        outcome = row.outcome
        if outcome.get("estimator") != bundle.name or len(configs) >= NEIGHBOURS:
            continue
        config = outcome.get("config", {})
        if config not in configs and space.is_valid(config):
            configs.append(config)
            names.append(str(row.job_id))
    if not configs:
        return Recalled()
    return Recalled(configs, [f"The search begins with {len(configs)} winners of similar jobs: {', '.join(names)}."])


def earlier_tasks(
    store: Store, task_type: str, meta_features: Mapping[str, float], *, bundle: Bundle
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the most similar earlier jobs of the same estimator evaluated, for a strategy that learns from it.

    Returns:
        Up to three of ``{"name", "space", "observations": [{"config", "metrics", "state"}]}``, the nearest first, as the
        strategy ``of-trans`` takes them, and a sentence that names them. A job has at most 80 observations: its better half
        and its latest.
    """
    found: list[dict[str, Any]] = []
    for row in store.knowledge.similar(task_type, dict(meta_features), k=4 * NEIGHBOURS):
        if row.outcome.get("estimator") != bundle.name or len(found) >= NEIGHBOURS:
            continue
        try:
            job = store.jobs.get(row.job_id)
        except RecordNotFoundError:  # what it taught outlives it
            continue
        observations = _observations(store, job)
        if len(observations) >= 2 and row.job_id not in {task["name"] for task in found}:
            found.append({"name": row.job_id, "space": (job.plan or {})["space"], "observations": observations})
    if not found:
        return [], []
    names = ", ".join(f"{task['name']} ({len(task['observations'])} tasks)" for task in found)
    return found, [f"The search learns from {len(found)} similar jobs: {names}."]


def _observations(store: Store, job: JobRecord) -> list[dict[str, Any]]:
    objectives = objectives_of(job)
    if not objectives:
        return []
    tasks = in_newest(
        store.broker.tasks(job.id, states=("succeeded", "failed", "timeout"), phase=SEARCH),
        space_versions(JobPlan.from_dict(job.plan or {})),
    )
    best = {task.id for task in ranked(tasks, objectives)[: MOST_TASKS // 2]}
    rest = [task.id for task in tasks if task.id not in best]
    kept = best | set(rest[-(MOST_TASKS - len(best)) :])
    return [
        {"config": task.config, "metrics": dict(task.rewards), "state": task.state} for task in tasks if task.id in kept
    ]


def remember(
    store: Store,
    job_id: str,
    *,
    task_type: str,
    meta_features: Mapping[str, float],
    bundle_name: str,
    config: dict[str, Any],
    rewards: Mapping[str, float],
    duration_s: float | None,
    peak_memory_bytes: int | None = None,
) -> None:
    """Add what a job found out, for the jobs to come."""
    store.knowledge.add(
        job_id,
        task_type=task_type,
        meta_features=dict(meta_features),
        outcome={
            "estimator": bundle_name,
            "config": config,
            "rewards": dict(rewards),
            "duration_s": duration_s,
            "peak_memory_bytes": peak_memory_bytes,
        },
    )
