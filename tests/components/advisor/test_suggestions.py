from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omniforge.components.advisor.insight import ClassScore
from omniforge.components.advisor.suggestions import (
    as_mapping,
    collect,
    drop_losers,
    failures,
    more_trials,
    relax_bounds,
    widen,
)
from omniforge.data import profile_table
from omniforge.search import Objective, SearchSpace
from omniforge.store import TaskRecord

ACCURACY = Objective("accuracy", "max")
Make = Callable[..., TaskRecord]


def tree(depth: int) -> dict[str, Any]:
    return {"algorithm": "tree", "algorithm.tree.depth": depth}


def test_an_optimum_at_an_edge_widens_the_range(make_task: Make, space: SearchSpace) -> None:
    board = [make_task(i, tree(10 if i < 8 else 4), {"accuracy": 1 - i / 100}) for i in range(24)]
    (suggestion,) = widen(board, space)
    assert "upper edge" in suggestion.seen
    assert suggestion.space is not None
    assert suggestion.space.parameters["algorithm.tree.depth"].domain.high == 14
    assert suggestion.space.is_valid(tree(14))
    assert "depth" in suggestion.diff


def test_an_optimum_inside_widens_nothing(make_task: Make, space: SearchSpace) -> None:
    board = [make_task(i, tree(5), {"accuracy": 1 - i / 100}) for i in range(24)]
    assert widen(board, space) == []


def test_a_branch_that_never_comes_near_the_top_is_left_out(make_task: Make, space: SearchSpace) -> None:
    losers = [make_task(20 + i, {"algorithm": "forest"}, {"accuracy": 0.1}) for i in range(4)]
    board = [*(make_task(i, tree(5), {"accuracy": 0.9}) for i in range(12)), *losers]
    (suggestion,) = drop_losers(board, space)
    assert "forest (4 tasks)" in suggestion.seen
    assert suggestion.space is not None
    assert not suggestion.space.is_valid({"algorithm": "forest"})


def test_a_branch_that_was_hardly_tried_stays(make_task: Make, space: SearchSpace) -> None:
    board = [
        *(make_task(i, tree(5), {"accuracy": 0.9}) for i in range(12)),
        make_task(20, {"algorithm": "forest"}, {"accuracy": 0.1}),
    ]
    assert drop_losers(board, space) == []


@pytest.mark.parametrize(("late", "expected"), [(0.9, 1), (0.5, 0)])
def test_more_trials_when_the_end_still_found_better_ones(make_task: Make, late: float, expected: int) -> None:
    values = [0.5 + 0.001 * (i % 3) for i in range(20)]
    values[-1] = late
    tasks = [make_task(i, tree(5), {"accuracy": value}) for i, value in enumerate(values)]
    assert len(more_trials(tasks, [ACCURACY])) == expected


def test_a_bound_that_nothing_keeps_is_named_with_the_distance(make_task: Make) -> None:
    bound = Objective("latency_ms", "min", bound=1.0)
    board = [make_task(i, tree(5), {"accuracy": 0.9, "latency_ms": 3.0 + i}) for i in range(5)]
    (suggestion,) = relax_bounds(board, [ACCURACY, bound])
    assert "0 of 5 tasks" in suggestion.seen
    assert "by 2" in suggestion.seen


def test_failures_for_one_cause_have_a_remedy(make_task: Make) -> None:
    tasks = [make_task(i, tree(5), cause="out_of_memory") for i in range(3)]
    (suggestion,) = failures(tasks)
    assert "--memory-mb" in suggestion.do


def test_a_class_that_is_missed_and_rare_needs_rows() -> None:
    import pandas as pd

    profile = profile_table(
        pd.DataFrame({"x": [(7 * i) % 31 / 3 for i in range(200)], "y": ["a"] * 180 + ["b"] * 20}), "y"
    )
    scores = [ClassScore("a", 0.99, 0.9, 40, 108), ClassScore("b", 0.3, 0.9, 4, 12)]
    (suggestion,) = collect(profile, scores)
    assert "'b'" in suggestion.do
    assert as_mapping(suggestion)["space"] is None
