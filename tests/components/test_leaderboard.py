from __future__ import annotations

from collections.abc import Callable

from omniforge.components import leaderboard
from omniforge.search import Objective
from omniforge.store import TaskRecord

ACCURACY = Objective("accuracy", "max")
LATENCY = Objective("latency_ms", "min")


def test_a_metric_that_nobody_has_is_left_out(make_task: Callable[..., TaskRecord]) -> None:
    both = [ACCURACY, LATENCY]
    tasks = [make_task(i, {}, {"accuracy": value}) for i, value in enumerate([0.5, 0.9])]
    assert leaderboard.known_objectives(tasks, both) == [ACCURACY]
    assert leaderboard.known_objectives([*tasks, make_task(2, {}, {"accuracy": 0.1, "latency_ms": 1.0})], both) == both
    assert leaderboard.known_objectives([make_task(0, {})], both) == []


def test_one_objective_ranks_by_it(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(i, {}, {"accuracy": value}) for i, value in enumerate([0.5, 0.9, 0.7])]
    assert [task.number for task in leaderboard.ranked(tasks, [ACCURACY])] == [1, 2, 0]
    best = leaderboard.winner(tasks, [ACCURACY])
    assert best is not None
    assert best.number == 1


def test_a_minimized_objective_ranks_the_other_way(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(i, {}, {"rmse": value}) for i, value in enumerate([0.5, 0.9, 0.1])]
    assert [task.number for task in leaderboard.ranked(tasks, [Objective("rmse", "min")])] == [2, 0, 1]


def test_the_front_has_what_nothing_beats(make_task: Callable[..., TaskRecord]) -> None:
    values = [(0.90, 9.0), (0.80, 1.0), (0.85, 2.0), (0.84, 3.0), (0.70, 5.0)]
    tasks = [make_task(i, {}, {"accuracy": a, "latency_ms": b}) for i, (a, b) in enumerate(values)]
    front = leaderboard.pareto(tasks, [ACCURACY, LATENCY])
    assert [task.number for task in front] == [0, 2, 1]
    board = leaderboard.ranked(tasks, [ACCURACY, LATENCY])
    assert board[0] == leaderboard.winner(tasks, [ACCURACY, LATENCY])
    assert {task.number for task in board[:3]} == {0, 1, 2}


def test_a_broken_bound_ranks_behind_a_kept_one(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [
        make_task(0, {}, {"accuracy": 0.99, "latency_ms": 50.0}),
        make_task(1, {}, {"accuracy": 0.6, "latency_ms": 2.0}),
    ]
    bounded = [ACCURACY, Objective("latency_ms", "min", bound=5.0)]
    assert [task.number for task in leaderboard.ranked(tasks, bounded)] == [1, 0]


def test_what_failed_or_lacks_a_value_is_not_ranked(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(0, {}), make_task(1, {}, {"latency_ms": 1.0}), make_task(2, {}, {"accuracy": 0.5})]
    assert [task.number for task in leaderboard.ranked(tasks, [ACCURACY])] == [2]
    assert leaderboard.winner(tasks[:2], [ACCURACY]) is None


def test_a_row_is_what_the_documentation_says(make_task: Callable[..., TaskRecord]) -> None:
    row = leaderboard.row(make_task(3, {"a": 1}, {"accuracy": 0.5}, device="local"))
    assert row == {"task": 3, "config": {"a": 1}, "rewards": {"accuracy": 0.5}, "device": "local"}


def test_the_winner_and_the_front_are_of_the_highest_fidelity(make_task: Callable[..., TaskRecord]) -> None:
    values = [(0.99, 1), (0.7, 9), (0.8, 9), (0.95, 3)]
    tasks = [make_task(i, {}, {"accuracy": a}, fidelity={"run_epochs": e}) for i, (a, e) in enumerate(values)]
    best = leaderboard.winner(tasks, [ACCURACY])
    assert best is not None
    assert best.number == 2
    assert [task.number for task in leaderboard.pareto(tasks, [ACCURACY])] == [2]
    assert [task.number for task in leaderboard.ranked(tasks, [ACCURACY])] == [2, 1, 3, 0]
    assert [task.number for task in leaderboard.fullest(tasks)] == [1, 2]


def test_where_nothing_got_to_the_full_fidelity_the_furthest_win(make_task: Callable[..., TaskRecord]) -> None:
    tasks = [make_task(i, {}, {"accuracy": 0.9 - i / 10}, fidelity={"run_epochs": 1 + i}) for i in range(3)]
    assert [task.number for task in leaderboard.ranked(tasks, [ACCURACY])] == [2, 1, 0]
    assert leaderboard.spent(make_task(9, {}, {"accuracy": 0.1})) == float("inf")
