"""What the page is made from, without a search: tasks with made-up rewards, gathered as the component gathers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.components import leaderboard
from omniforge.components.advisor.insight import ClassScore, Insight, importances
from omniforge.components.advisor.suggestions import suggest
from omniforge.data import profile_table
from omniforge.search import Objective, SearchSpace
from omniforge.store import JobRecord, TaskRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min", bound=5.0), Objective("model_bytes", "min"))


@pytest.fixture
def make_tasks(make_task: Callable[..., TaskRecord], space: SearchSpace) -> Callable[..., list[TaskRecord]]:
    """Make tasks of the space of ``conftest.py``: deep trees are good and slow."""

    def make(count: int, *, failed: int = 0) -> list[TaskRecord]:
        rng = np.random.default_rng(0)
        tasks = []
        for number, config in enumerate(space.sample_many(count, rng), start=1):
            depth = config.get("algorithm.tree.depth", 2)
            rewards = {"accuracy": 0.6 + 0.03 * depth, "latency_ms": 0.5 * depth, "model_bytes": 1e4 + 100.0 * number}
            tasks.append(make_task(number, config, rewards, device="local"))
        for number in range(count + 1, count + failed + 1):
            config = {"algorithm": "forest"}
            tasks.append(make_task(number, config, cause="exception", message="ValueError: <script>alert(1)</script>"))
        return tasks

    return make


@pytest.fixture
def make_insight(make_tasks: Callable[..., list[TaskRecord]], space: SearchSpace) -> Callable[..., Insight]:
    """Gather tasks into what the page shows."""
    common = space

    def make(
        tasks: Sequence[TaskRecord] | int = 20,
        *,
        objectives: int = 2,
        failed: int = 0,
        regression: bool = False,
        table: pd.DataFrame | None = None,
        classes: Sequence[ClassScore] = (),
        space: SearchSpace = common,
        **changes: Any,
    ) -> Insight:
        chosen = list(OBJECTIVES[:objectives])
        given = make_tasks(tasks, failed=failed) if isinstance(tasks, int) else list(tasks)
        if table is None:
            x = [(7 * i) % 31 / 3 for i in range(100)]
            y = [value / 2 + i % 3 for i, value in enumerate(x)] if regression else ["yes", "no"] * 50
            table = pd.DataFrame({"x": x, "y": y})
        profile = profile_table(table, "y")
        plan = {
            "seed": 0, "space": space.to_dict(), "space_hash": space.hash, "data_version": "d" * 64,
            "objectives": [objective.to_dict() for objective in chosen], "reasons": ["It was so."],
        }  # fmt: skip
        spec = {"data": "/d.csv", "target": "y"}
        job = JobRecord("job", "flowers", "nocode", "running", spec, plan, None, None, NOW, NOW, None)
        values: dict[str, Any] = {
            "job": job, "tasks": given, "objectives": chosen, "space": space, "profile": profile,
            "board": leaderboard.ranked(given, chosen), "front": leaderboard.pareto(given, chosen),
            "importance": importances(given, chosen, space, seed=0), "classes": list(classes), "model": None,
            "baseline": None, "suggestions": suggest(given, chosen, space, profile=profile, classes=classes),
        }  # fmt: skip
        return Insight(**{**values, **changes})

    return make
