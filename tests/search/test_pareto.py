from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from omniforge.search import Candidate, Objective, Reward, hypervolume, knee_point, pareto_front
from omniforge.search.pareto import (
    FloatArray,
    best,
    crowding_distance,
    feasible,
    fitness_order,
    non_dominated,
    non_dominated_ranks,
    targets,
    violation,
)

ACCURACY = Objective("accuracy", "max")
LATENCY = Objective("latency", "min")
BOTH = [ACCURACY, LATENCY]

matrices = st.integers(1, 4).flatmap(
    lambda m: hnp.arrays(np.float64, st.tuples(st.integers(0, 7), st.just(m)), elements=st.integers(0, 5).map(float))
)


def rewards(*rows: tuple[float, float]) -> list[Reward]:
    return [Reward(Candidate({"i": i}), {"accuracy": a, "latency": t}) for i, (a, t) in enumerate(rows)]


def brute_force_non_dominated(Y: FloatArray) -> list[bool]:
    return [not any((other >= row).all() and (other > row).any() for other in Y) for row in Y]


def brute_force_volume(Y: FloatArray) -> float:
    """Return the volume above 0 of boxes with integer corners, by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(Y) + 1):
        for chosen in itertools.combinations(range(len(Y)), size):
            total += (-1) ** (size + 1) * float(np.prod(np.min(Y[list(chosen)], axis=0)))
    return total


@pytest.mark.property
@given(matrices)
def test_dominance_agrees_with_brute_force(Y: FloatArray) -> None:
    assert non_dominated(Y).tolist() == brute_force_non_dominated(Y)


@pytest.mark.property
@settings(max_examples=60)
@given(matrices)
def test_hypervolume_agrees_with_brute_force(Y: FloatArray) -> None:
    assert hypervolume(Y, [0.0] * Y.shape[1]) == pytest.approx(brute_force_volume(Y))


@pytest.mark.oracle
@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_agrees_with_sampling(m: int) -> None:
    rng = np.random.default_rng(m)
    Y = rng.random((25, m))
    points = rng.random((100_000, m))
    inside = np.zeros(len(points), dtype=bool)
    for row in Y:
        inside |= (points <= row).all(axis=1)
    assert hypervolume(Y, [0.0] * m) == pytest.approx(inside.mean(), abs=0.01)


def test_hypervolume_moves_with_the_reference_and_ignores_what_is_not_above() -> None:
    Y = [[3.0, 1.0], [1.0, 3.0], [0.5, 0.5], [math.nan, 5.0]]
    assert hypervolume(Y, [0.0, 0.0]) == 5.0
    assert hypervolume(Y, [1.0, 0.0]) == 2.0
    assert hypervolume(Y, [4.0, 4.0]) == 0.0
    assert hypervolume([], [0.0, 0.0]) == 0.0
    with pytest.raises(ValueError, match="do not fit"):
        hypervolume(Y, [0.0])


@pytest.mark.property
@given(matrices)
def test_ranks_peel_one_front_after_the_other(Y: FloatArray) -> None:
    ranks = non_dominated_ranks(Y)
    for rank in range(int(ranks.max(initial=-1)) + 1):
        left = ranks >= rank
        assert (ranks[left] == rank).tolist() == brute_force_non_dominated(Y[left])


def test_rows_with_nan_come_last() -> None:
    Y = np.array([[math.nan, 9.0], [1.0, 1.0], [2.0, 2.0]])
    assert non_dominated(Y).tolist() == [False, False, True]
    assert non_dominated_ranks(Y).tolist() == [2, 1, 0]


def test_crowding_prefers_the_ends_and_the_lonely() -> None:
    distance = crowding_distance(np.array([[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [4.0, 0.0]]))
    assert np.isinf(distance[[0, 3]]).all()
    assert distance[2] > distance[1]
    assert crowding_distance(np.zeros((0, 2))).tolist() == []
    assert crowding_distance(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def test_targets_turn_goals_and_lose_what_is_incomplete() -> None:
    given = [
        Reward(Candidate({}), {"accuracy": 0.9, "latency": 3.0}),
        Reward(Candidate({}), {"accuracy": 0.9}),
        Reward(Candidate({}), {"accuracy": 0.9, "latency": math.inf}),
        Reward(Candidate({}), {"accuracy": 0.9, "latency": 3.0}, state="timeout"),
    ]
    np.testing.assert_array_equal(targets(given, BOTH), [[0.9, -3.0]] + [[math.nan, math.nan]] * 3)


def test_violation_is_relative_to_the_bound() -> None:
    bounded = [Objective("accuracy", "max", bound=0.8), Objective("latency", "min", bound=10.0)]
    Y = targets(rewards((0.8, 10.0), (0.4, 10.0), (0.4, 15.0), (math.nan, 1.0)), bounded)
    np.testing.assert_allclose(violation(Y, bounded), [0.0, 0.5, 1.0, math.inf])
    assert feasible(rewards((0.8, 10.0), (0.7, 1.0)), bounded) == [True, False]


def test_the_front_is_feasible_and_best_first() -> None:
    given = rewards((0.7, 1.0), (0.9, 5.0), (0.8, 2.0), (0.75, 3.0), (0.95, 50.0), (0.99, math.nan))
    assert pareto_front(given, BOTH) == [4, 1, 2, 0]
    limited = [ACCURACY, Objective("latency", "min", bound=10.0)]
    assert pareto_front(given, limited) == [1, 2, 0]
    assert pareto_front(given, [ACCURACY, Objective("latency", "min", bound=10.0, weight=0.0)]) == [1]
    assert pareto_front([], BOTH) == []


def test_the_knee_is_where_the_front_bulges() -> None:
    given = rewards((0.90, 1.0), (0.94, 2.0), (0.95, 10.0))
    assert knee_point(given, BOTH) == 1
    assert knee_point(given, [ACCURACY, Objective("latency", "min", weight=0.01)]) == 2
    assert knee_point(given, [Objective("accuracy", "max", weight=0.01), LATENCY]) == 0
    assert knee_point(rewards((0.9, 1.0), (0.95, 2.0)), BOTH) == 1, "two ends are equal: the first objective decides"
    assert knee_point(given, [ACCURACY]) == 2


def test_without_anything_feasible_the_least_violation_counts_only_on_request() -> None:
    strict = [ACCURACY, Objective("latency", "min", bound=1.0)]
    given = rewards((0.9, 3.0), (0.8, 2.0), (math.nan, 0.5))
    assert best(given, strict) is None
    assert best(given, strict, relaxed=True) == 1
    assert knee_point(given, strict) == 1
    assert best(rewards((0.7, 0.9), (0.9, 3.0)), strict) == 0
    assert best([], BOTH) is None
    assert best(given[2:], BOTH, relaxed=True) is None
    with pytest.raises(ValueError, match="no reward has a value"):
        knee_point(given[2:], BOTH)


def test_the_order_of_fitness_is_feasible_then_front_then_crowding_then_failed() -> None:
    limited = [ACCURACY, Objective("latency", "min", bound=10.0)]
    given = rewards((0.99, 20.0), (math.nan, 0.0), (0.5, 5.0), (0.9, 9.0), (0.6, 1.0), (0.8, 8.5), (0.95, 11.0))
    assert fitness_order(targets(given, limited), limited) == [3, 4, 5, 2, 6, 0, 1]
