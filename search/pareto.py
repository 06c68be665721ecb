"""Trade-offs between objectives: dominance, fronts, hypervolume, and the pick of one solution. Numpy only, no model.

Arrays hold values to MAXIMIZE, one row per solution (`targets` turns rewards into one); a row with NaN never counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .candidate import SUCCEEDED, Reward
from .objective import Objective

FloatArray: TypeAlias = NDArray[np.float64]


def targets(rewards: Sequence[Reward], objectives: Sequence[Objective]) -> FloatArray:
    """Return the rewards as values to maximize.

    Returns:
        A `n x m` array; a row is NaN where the task did not succeed or any of its metrics is missing or not finite.
    """
    out = np.full((len(rewards), len(objectives)), math.nan)
    for i, reward in enumerate(rewards):
        if reward.state == SUCCEEDED:
            out[i] = [objective.sign * float(reward.metrics.get(objective.key, math.nan)) for objective in objectives]
    out[~np.isfinite(out).all(axis=1)] = math.nan
    return out


def violation(Y: FloatArray, objectives: Sequence[Objective]) -> FloatArray:
    """Return by how much each row breaks the bounds: the sum over objectives, each relative to the size of its bound.

    Args:
        Y: A `n x m` array of values to maximize.
        objectives: The `m` objectives.

    Returns:
        A `n` array: 0 where all bounds hold, ``inf`` for a row with NaN.
    """
    total = np.zeros(len(Y))
    for column, objective in enumerate(objectives):
        if objective.bound is not None:
            short = objective.sign * objective.bound - Y[:, column]
            total += np.maximum(short, 0.0) / (abs(objective.bound) or 1.0)
    total[~np.isfinite(Y).all(axis=1)] = math.inf
    return total


def feasible(rewards: Sequence[Reward], objectives: Sequence[Objective]) -> list[bool]:
    """Say of each reward whether it succeeded, has every metric and is within all bounds."""
    return [bool(value == 0.0) for value in violation(targets(rewards, objectives), objectives)]


def non_dominated(Y: FloatArray) -> NDArray[np.bool_]:
    """Say which rows no other row dominates (at least as large everywhere and larger somewhere).

    Args:
        Y: A `n x m` array of values to maximize.

    Returns:
        A `n` array; equal rows are all in or all out.
    """
    keep = np.zeros(len(Y), dtype=bool)
    known = np.flatnonzero(~np.isnan(Y).any(axis=1))
    if not len(known):
        return keep
    rows, inverse = np.unique(Y[known], axis=0, return_inverse=True)
    front = np.empty_like(rows)
    size, on_front = 0, np.zeros(len(rows), dtype=bool)
    # in descending lexicographic order only an earlier row can dominate a later one
    for i in range(len(rows) - 1, -1, -1):
        if not (front[:size] >= rows[i]).all(axis=1).any():
            front[size], on_front[i] = rows[i], True
            size += 1
    keep[known] = on_front[inverse.reshape(-1)]
    return keep


def non_dominated_ranks(Y: FloatArray) -> NDArray[np.int64]:
    """Return the front each row is on, from 0, after the fronts before it are taken away (Deb et al. 2002, NSGA-II).

    Rows with NaN come last.
    """
    ranks = np.full(len(Y), -1, dtype=np.int64)
    if Y.shape[1] == 1:  # the order of the values: no row need be compared with any other
        known = np.isfinite(Y[:, 0])
        values, ranks[known] = np.unique(-Y[known, 0], return_inverse=True)
        ranks[~known] = len(values)
        return ranks
    rest, rank = np.arange(len(Y)), 0
    while len(rest):
        front = non_dominated(Y[rest])
        if not front.any():
            front[:] = True
        ranks[rest[front]] = rank
        rest, rank = rest[~front], rank + 1
    return ranks


def crowding_distance(Y: FloatArray) -> FloatArray:
    """Return how far each row is from its neighbours on one front (Deb et al. 2002); ``inf`` at the ends."""
    n, m = Y.shape
    distance = np.zeros(n)
    for column in range(m):
        order = np.argsort(Y[:, column], kind="stable")
        values = Y[order, column]
        span = values[-1] - values[0] if n else 0.0
        if n and span > 0:
            distance[order[[0, -1]]] = math.inf
            distance[order[1:-1]] += (values[2:] - values[:-2]) / span
    return distance


def fitness_order(Y: FloatArray, objectives: Sequence[Objective]) -> list[int]:
    """Return the rows from the best to the worst: by violation of the bounds, then by front, then by crowding.

    Args:
        Y: A `n x m` array of values to maximize; rows with NaN come last.
        objectives: The `m` objectives; those of weight 0 only bound.
    """
    broken = violation(Y, objectives)
    optimized = Y[:, [objective.optimized for objective in objectives]]
    ranks, crowding = np.zeros(len(Y), dtype=np.int64), np.zeros(len(Y))
    within = np.flatnonzero(broken == 0.0)
    ranks[within] = non_dominated_ranks(optimized[within])
    for rank in set(ranks[within].tolist()):
        front = within[ranks[within] == rank]
        crowding[front] = crowding_distance(optimized[front])
    return [int(i) for i in np.lexsort((-crowding, ranks, broken))]


def hypervolume(Y: FloatArray | Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that is dominated by the rows and above a reference point, exactly.

    The exclusive volumes of WFG (While, Bradstreet and Barone, IEEE TEC 2012) down to two objectives, a sweep there.

    Args:
        Y: A `n x m` array of values to maximize, ``m >= 1``.
        reference: The `m` coordinates of the reference point; rows that are not above it everywhere add nothing.

    Raises:
        ValueError: The shapes do not match.
    """
    corner = np.asarray(reference, dtype=np.float64)
    rows = np.asarray(Y, dtype=np.float64).reshape(-1, len(corner)) if len(Y) == 0 else np.asarray(Y, dtype=np.float64)
    if rows.ndim != 2 or corner.ndim != 1 or rows.shape[1] != len(corner) or not len(corner):
        raise ValueError(f"Rows of shape {rows.shape} do not fit a reference point of shape {corner.shape}.")
    above = rows[(rows > corner).all(axis=1)] - corner
    return _volume(np.unique(above[non_dominated(above)], axis=0))


def _volume(front: FloatArray) -> float:
    """Return the volume between 0 and a front of distinct rows that do not dominate each other, rows ascending."""
    if not len(front):
        return 0.0
    if front.shape[1] == 1:
        return float(front.max())
    if front.shape[1] == 2:
        # ascending first objective is descending second
        steps = np.diff(front[:, 0], prepend=0.0)
        return float((steps * front[:, 1]).sum())
    total = 0.0
    for i, row in enumerate(front):
        # what follows is larger in the first objective, so that only the others limit this row's exclusive volume
        limited = np.minimum(front[i + 1 :, 1:], row[1:])
        limited = np.unique(limited[non_dominated(limited)], axis=0)
        total += float(row[0]) * (float(row[1:].prod()) - _volume(limited))
    return total


def pareto_front(rewards: Sequence[Reward], objectives: Sequence[Objective]) -> list[int]:
    """Return the positions of the feasible rewards that no feasible reward dominates, the best of the first objective first.

    Objectives of weight 0 only bound. The list is empty when nothing is feasible.
    """
    Y = targets(rewards, objectives)
    Y[violation(Y, objectives) > 0.0] = math.nan
    optimized = Y[:, [objective.optimized for objective in objectives]]
    front = np.flatnonzero(non_dominated(optimized))
    return [int(i) for i in front[np.lexsort(-optimized[front].T[::-1])]]


def knee_point(rewards: Sequence[Reward], objectives: Sequence[Objective]) -> int:
    """Return the position of the reward that trades the objectives off best.

    It is the point of the Pareto front that bulges most beyond the plane through the front's ends, every objective scaled
    to the range of the front and multiplied by its weight (the knee of Das 1999). Equal ones: the best in the first objective.
    When no reward is feasible, it is the one that breaks the bounds least.

    Raises:
        ValueError: No reward succeeded with all metrics.
    """
    front = pareto_front(rewards, objectives)
    if not front:
        Y = targets(rewards, objectives)
        if np.isnan(Y).all():
            raise ValueError("There is no knee point: no reward has a value for every objective.")
        return fitness_order(Y, objectives)[0]
    optimized = [objective for objective in objectives if objective.optimized]
    Y = targets([rewards[i] for i in front], optimized)
    span = Y.max(axis=0) - Y.min(axis=0)
    scaled = (Y - Y.min(axis=0)) / np.where(span > 0, span, 1.0)
    score = scaled @ np.array([objective.weight for objective in optimized])
    return front[int(np.argmax(score >= score.max() - 1e-9))]


def best(rewards: Sequence[Reward], objectives: Sequence[Objective], *, relaxed: bool = False) -> int | None:
    """Return the position of the best reward: the best feasible one, or the knee point of several objectives.

    Args:
        rewards: What was measured.
        objectives: What counts.
        relaxed: When nothing is feasible, return the one that breaks the bounds least.

    Returns:
        None when nothing succeeded, or nothing is feasible and ``relaxed`` is false.
    """
    broken = violation(targets(rewards, objectives), objectives)
    usable = bool(np.isfinite(broken).any()) if relaxed else bool((broken == 0.0).any())
    return knee_point(rewards, objectives) if usable else None
