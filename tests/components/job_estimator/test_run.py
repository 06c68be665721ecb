from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omniforge.components.job_estimator.run import estimate_job
from omniforge.components.spec import JobPlan
from omniforge.errors import RecordNotFoundError
from omniforge.settings import Settings
from omniforge.store import JobRecord, TaskRecord


def test_one_phase_with_the_settings_of_the_environment(
    make_plan: Callable[..., JobPlan], make_job: Callable[..., JobRecord], played_workers: Callable[..., Any]
) -> None:
    make_job(make_plan(space={"x": {"type": "float", "range": [0.0, 1.0]}}, trials=4))

    def play(task: TaskRecord) -> dict[str, Any]:
        return {"rewards": {"accuracy": task.config["x"]}}

    with played_workers(play):
        counts = estimate_job("job", "search")
    assert counts == {
        "pending": 0, "reserved": 0, "running": 0, "succeeded": 4, "failed": 0, "timeout": 0, "cancelled": 0
    }  # fmt: skip


def test_an_unknown_job_is_an_error(settings: Settings) -> None:
    with pytest.raises(RecordNotFoundError, match="'nothing'"):
        estimate_job("nothing", "search")
