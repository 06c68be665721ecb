from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from omniforge.components.advisor import figures
from omniforge.components.advisor.insight import Insight, winning_path
from omniforge.search import Objective
from omniforge.search.ablation import Ablation, Step
from omniforge.search.importance import Importance
from omniforge.store import TaskRecord

MakeInsight = Callable[..., Insight]
MakeTask = Callable[..., TaskRecord]


def trace(figure: Any, name: str) -> Any:
    return next(one for one in figure.data if one.name == name)


@pytest.mark.parametrize(
    ("goal", "best"), [("max", [0.2, 0.2, 0.7, 0.7]), ("min", [0.2, 0.1, 0.1, 0.1])], ids=["max", "min"]
)
def test_convergence_has_the_best_so_far_in_the_order_of_the_tasks(
    goal: Any, best: list[float], make_task: MakeTask
) -> None:
    values = {1: 0.2, 2: 0.1, 4: 0.7, 5: 0.3}
    tasks = [make_task(number, {}, {"f": value}) for number, value in reversed(values.items())]
    figure = figures.convergence([*tasks, make_task(3, {}, cause="exception")], Objective("f", goal))
    assert list(trace(figure, "task").x) == list(values)
    assert list(trace(figure, "best so far").y) == best
    assert list(trace(figure, "failed").x) == [3]


def test_convergence_of_nothing_is_an_empty_plot(make_task: MakeTask) -> None:
    figure = figures.convergence([make_task(1, {}, cause="exception")], Objective("f", "max"))
    assert [len(one.x) for one in figure.data] == [0, 0]


def test_the_front_is_joined_and_the_recommended_task_ringed(make_insight: MakeInsight) -> None:
    insight = make_insight(20)
    figure = figures.pareto(insight)
    front = trace(figure, "Pareto front")
    assert list(front.x) == sorted(task.rewards["latency_ms"] for task in insight.front)
    assert len(front.x) + len(trace(figure, "dominated").x) == len(insight.board)
    ringed = trace(figure, "recommended")
    winner = insight.board[0].rewards
    assert (ringed.x[0], ringed.y[0]) == (winner["latency_ms"], winner["accuracy"])
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(5.0, 5.0)]


def test_importance_leaves_out_what_does_not_matter() -> None:
    main = {f"algorithm.tree.p{i}": 0.5 / 2**i for i in range(30)}
    found = Importance(main, std=dict.fromkeys(main, 0.02), pairs={("a.b.c", "a.b.d"): 0.3})
    (bars,) = figures.importance(found, "accuracy").data
    assert len(bars.y) <= figures.MAX_BARS
    assert (bars.y[-1], bars.x[-1]) == ("tree.p0", 0.5)
    assert "b.c x b.d" in bars.y
    assert bars.customdata[list(bars.y).index("b.c x b.d")] == "a.b.c x a.b.d"
    assert min(bars.x) >= figures.LEAST_SHARE
    assert all(minus <= share for minus, share in zip(bars.error_x.arrayminus, bars.x, strict=True))


def test_parameters_of_the_same_name_keep_their_own_bars() -> None:
    main = {"block[0].kind.conv.width": 0.4, "block[1].kind.conv.width": 0.3, "block[0].kind": 0.1}
    (bars,) = figures.importance(Importance(main), "accuracy").data
    assert list(bars.y) == ["block[0].kind", "block[1].kind.conv.width", "block[0].kind.conv.width"]


def test_parallel_coordinates_place_what_is_inactive_below_and_by_name(make_insight: MakeInsight) -> None:
    insight = make_insight(20, objectives=3)
    (lines,) = figures.parallel_coordinates(insight).data
    axes = {axis.label: axis for axis in lines.dimensions}
    assert next(iter(axes)) == "algorithm"
    assert list(axes)[-3:] == ["accuracy", "latency_ms", "model_bytes"]
    depth = axes["tree.depth"]
    trees = [task.config["algorithm"] == "tree" for task in insight.board]
    assert depth.ticktext[0] == "inactive"
    low = min(value for value, tree in zip(depth.values, trees, strict=True) if tree)
    assert all(value < low for value, tree in zip(depth.values, trees, strict=True) if not tree)
    assert set(axes["algorithm"].ticktext) == {task.config["algorithm"] for task in insight.board}


def test_the_map_has_a_group_for_each_branch_and_a_place_for_each_task(make_insight: MakeInsight) -> None:
    insight = make_insight(20)
    figure = figures.space_map(insight)
    assert {one.name for one in figure.data} == {task.config["algorithm"] for task in insight.board}
    places = np.array([(x, y) for one in figure.data for x, y in zip(one.x, one.y, strict=True)])
    assert places.shape == (20, 2)
    assert np.isfinite(places).all()
    forest = trace(figure, "forest")
    assert np.ptp(forest.x) < 1e-9  # the branch has no parameters: all its tasks are alike


@pytest.mark.parametrize(
    ("tasks", "objectives", "shown"),
    [
        (0, 1, ["convergence"]),
        (1, 2, ["convergence"]),
        (2, 1, ["convergence"]),
        (3, 2, ["convergence", "pareto", "parallel", "map"]),
        (20, 1, ["convergence", "importance accuracy", "parallel", "map"]),
        (
            20, 3,
            ["convergence", "pareto", "importance accuracy", "importance latency_ms", "importance model_bytes", "parallel", "map"],
        ),
    ],
)  # fmt: skip
def test_only_what_says_something_is_shown(
    tasks: int, objectives: int, shown: list[str], make_insight: MakeInsight
) -> None:
    assert list(figures.all_figures(make_insight(tasks, objectives=objectives))) == shown


def test_equal_configurations_and_equal_values_are_no_problem(make_insight: MakeInsight, make_task: MakeTask) -> None:
    rewards = {"accuracy": 1.0, "latency_ms": 0.0}
    insight = make_insight([make_task(number, {"algorithm": "forest"}, rewards) for number in range(1, 13)])
    for figure in figures.all_figures(insight).values():
        assert figure.to_json()
    assert figures.all_figures(replace(insight, importance={}))


def test_the_winning_path_goes_from_the_default_to_the_recommended_one() -> None:
    steps = [
        Step("a.b.depth", 3, 7, {}, value=0.7, gain=0.2),
        Step("rate", 0.1, 0.25, {}, value=0.9, gain=0.2),
        Step("c", "x", "y", {}, value=0.8995, gain=-0.0005),
        Step("d", 1, 2, {}, value=0.85, gain=-0.0495),
    ]
    found = Ablation({}, {}, start=0.5, steps=tuple(steps))
    (bars,) = figures.winning_path(found, Objective("accuracy", "max")).data
    assert list(bars.y) == [
        "default", "b.depth: 3 → 7", "rate: 0.1 → 0.25", "d: 1 → 2", "1 other changes", "recommended",
    ]  # fmt: skip
    assert list(bars.x) == pytest.approx([0.5, 0.2, 0.2, -0.0495, -0.0005, 0.85])
    assert bars.increasing.marker.color == figures.GOOD
    (bars,) = figures.winning_path(found, Objective("loss", "min")).data
    assert bars.increasing.marker.color == figures.BAD


def test_the_winning_path_is_shown_where_there_is_one(make_insight: MakeInsight) -> None:
    insight = make_insight(20)
    path = winning_path(insight.tasks, insight.objectives, insight.space, baseline=None, seed=0)
    assert path is not None
    assert path.target == insight.board[0].config
    assert ("path" in figures.all_figures(replace(insight, path=path))) == bool(path.steps)
    assert winning_path([], insight.objectives, insight.space, baseline=None, seed=0) is None


def test_names_are_shortened() -> None:
    assert figures.short("algorithm") == "algorithm"
    assert figures.short("algorithm.tree.depth") == "tree.depth"
    assert figures.leaf("algorithm.tree.depth") == "depth"
