from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpecError
from omniforge.search import Objective, SearchSpace
from omniforge.search.bo.transfer.earlier import EarlierTask, known, winners

GOAL = [Objective("score", "max")]
Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "no mapping with a list"),
        ({"observations": [], "spaces": 3}, "unknown field 'spaces'"),
        ({"observations": [{"metrics": {}}]}, r"tasks\[1\].observations\[0\]"),
        ({"observations": [{"config": {}, "state": "lost"}]}, "state is 'lost'"),
        ({"observations": [{"config": {}, "metrics": {"score": "high"}}]}, "expected numbers"),
        ({"observations": [], "space": {"x": {"type": "flout"}}}, "space is no search space"),
    ],
)
def test_what_cannot_be_read_is_refused(document: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        EarlierTask.from_dict(document, 1)


def test_a_task_is_seen_from_the_new_space(space: SearchSpace, task: Make) -> None:
    document = task(20)
    document["observations"].append({"config": {"kind": "a", "x": 0.5, "y": 0.5}, "state": "failed"})
    document["space"] = space.to_dict()
    narrow = space.edit("x", range=[0.5, 1.0]).add("z", {"type": "bool"})
    (found,) = known([EarlierTask.from_dict(document, 0)], narrow, GOAL)
    inside = [row for row in document["observations"] if row["config"]["x"] >= 0.5]
    assert [config["x"] for config in found.configs] == [row["config"]["x"] for row in inside]
    assert all(config["z"] is False for config in found.configs)
    assert found.Y[0, 0] == inside[0]["metrics"]["score"]
    assert np.isnan(found.Y[-1, 0])


def test_a_task_that_ranks_nothing_is_left_out(space: SearchSpace, task: Make) -> None:
    flat = {"observations": [{**row, "metrics": {"score": 1.0}} for row in task(9)["observations"]]}
    other = {"observations": [{**row, "metrics": {"speed": 1.0}} for row in task(9)["observations"]]}
    documents = [flat, other, task(1), task(9)]
    tasks = [EarlierTask.from_dict(document, i) for i, document in enumerate(documents)]
    assert len(known(tasks, space, GOAL)) == 1


def test_the_winners_are_the_best_of_each_task_then_others_that_differ(space: SearchSpace, task: Make) -> None:
    documents = [task(40, seed=1), task(40, x=0.1, y=0.9, seed=2)]
    tasks = known([EarlierTask.from_dict(document, i) for i, document in enumerate(documents)], space, GOAL)
    found = winners(tasks, space, GOAL, count=4)
    best = [max(d["observations"], key=lambda row: row["metrics"]["score"])["config"] for d in documents]
    assert found[:2] == best
    assert len({space.config_hash(config) for config in found}) == 4
    assert winners(tasks, space, GOAL, count=0) == []
    assert winners([], space, GOAL, count=3) == []
    assert len(winners(tasks, space, GOAL, count=99)) == 10  # the best five of each
