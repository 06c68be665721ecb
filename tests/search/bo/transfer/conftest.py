"""A space, and what earlier searches on tasks like the new one, and unlike it, evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omniforge.search import Objective, SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.transfer.earlier import EarlierTask, known
from omniforge.search.bo.transfer.models import Earlier

SPACE = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: [a, b, c]}
    x: {type: float, range: [0.0, 1.0]}
    y: {type: float, range: [0.0, 1.0]}
    """
)
GOAL = [Objective("score", "max")]


def value(config: dict[str, Any], *, x: float = 0.7, y: float = 0.2) -> float:
    """Best at kind b; ``x`` and ``y`` say where."""
    return "cab".index(config["kind"]) - 3 * (config["x"] - x) ** 2 - 3 * (config["y"] - y) ** 2


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SPACE


@pytest.fixture(scope="session")
def rows() -> Rows:
    return Rows(SPACE)


@pytest.fixture(scope="session")
def task() -> Callable[..., dict[str, Any]]:
    """Make the document of an earlier task: random configurations, with another scale than the new task's."""

    def make(count: int = 30, *, x: float = 0.68, y: float = 0.22, sign: float = 1.0, seed: int = 0) -> dict[str, Any]:
        configs = SPACE.sample_many(count, np.random.default_rng(seed))
        return {
            "name": f"x={x}",
            "observations": [
                {"config": config, "metrics": {"score": 70 + 9 * sign * value(config, x=x, y=y)}} for config in configs
            ],
        }

    return make


@pytest.fixture(scope="session")
def earlier(task: Callable[..., dict[str, Any]]) -> Earlier:
    """One task like the new one, and one that is its contrary."""
    documents = [task(), task(sign=-1.0, seed=1)]
    tasks = [EarlierTask.from_dict(document, i) for i, document in enumerate(documents)]
    return Earlier(known(tasks, SPACE, GOAL), GOAL)
