"""What earlier jobs taught: configurations that won on similar data. The formatter reads it, the advisor writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...estimators.bundle import Bundle
    from ...search import SearchSpace
    from ...store import Store

NEIGHBOURS = 3


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
