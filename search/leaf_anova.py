"""A random forest as boxes, and the functional ANOVA of its trees under a conditional measure.

Hutter, Hoos and Leyton-Brown (ICML 2014), sections 3 and 4: a tree is constant on boxes, so its mean given one or two
parameters is a sum over boxes, exactly. What is reported of it is decided in ``importance.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .conditional_measure import ConditionalMeasure, Dimension, Passes

Array = npt.NDArray[Any]

MAX_BOXES = 20_000  # at once, patterns counted: bounds the memory


@dataclass(frozen=True)
class Leaves:
    """The leaves of one tree: `l` boxes ``(low, high]`` of `d` columns and the value on each."""

    low: Array
    high: Array
    value: Array


class Forest:
    """A random forest as boxes.

    Args:
        X: Encoded configurations, ``n x d``.
        y: Their values, ``n``.
        seed: Of the bootstrap and the splits.
        n_trees: How many trees.
    """

    def __init__(self, X: Array, y: Array, *, seed: int, n_trees: int) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self.model = RandomForestRegressor(
            n_trees,
            max_features=5 / 6,  # the paper's
            min_samples_leaf=1 if len(y) < 50 else 3,
            bootstrap=True,
            random_state=seed,
            n_jobs=1,
        ).fit(X, y)
        self.r2 = self._out_of_bag(X, y)

    @cached_property
    def used(self) -> list[int]:
        """The columns that some tree splits on."""
        return sorted({int(c) for tree in self.model.estimators_ for c in tree.tree_.feature if c >= 0})

    @cached_property
    def reliance(self) -> Array:
        """How much of the variance of the observations is split off along each column, interactions included; ``d``."""
        found: Array = self.model.feature_importances_
        return found

    def trees(self) -> Iterator[Leaves]:
        """Yield the leaves of each tree."""
        for estimator in self.model.estimators_:
            yield _leaves(estimator.tree_)

    def _out_of_bag(self, X: Array, y: Array) -> float | None:
        total, count = np.zeros(len(y)), np.zeros(len(y))
        for estimator, drawn in zip(self.model.estimators_, self.model.estimators_samples_, strict=True):
            unseen = np.ones(len(y), dtype=bool)
            unseen[drawn] = False
            if unseen.any():
                total[unseen] += estimator.predict(X[unseen])
                count += unseen
        some = count > 0
        if some.sum() < 2 or float(np.var(y[some])) == 0.0:
            return None
        return float(1.0 - np.mean((total[some] / count[some] - y[some]) ** 2) / np.var(y[some]))


def _leaves(tree: Any) -> Leaves:
    """Return the leaves of a scikit-learn tree; its parents come before their children."""
    low = np.full((tree.node_count, tree.n_features), -np.inf)
    high = np.full((tree.node_count, tree.n_features), np.inf)
    for node in range(tree.node_count):
        left, right, column = tree.children_left[node], tree.children_right[node], tree.feature[node]
        if left < 0:
            continue
        for child in (left, right):
            low[child], high[child] = low[node], high[node]
        high[left, column] = min(high[node, column], tree.threshold[node])
        low[right, column] = max(low[node, column], tree.threshold[node])
    leaf = tree.children_left < 0
    return Leaves(low[leaf], high[leaf], tree.value[leaf, 0, 0])


@dataclass(frozen=True)
class _Segments:
    """The values of one dimension cut where a tree, a case or a list of values cuts them; `g` segments.

    Args:
        share: The probability of each.
        case: The case of each.
        cover: Whether each lies in each box, ``l x g``.
    """

    share: Array
    case: Array
    cover: Array


@dataclass(frozen=True)
class _Stack:
    """Boxes of many trees, one under the other, for which the passes run at once.

    Args:
        low: The open lower ends of `b` boxes, ``b x d``; the first box is everything.
        high: The closed upper ends.
        passes: What the passes found.
        clamped: For pairs of dimensions, the second clamped, what was found outside and inside of the first.
    """

    low: Array
    high: Array
    passes: Passes
    clamped: Mapping[tuple[int, int], tuple[Array, Array]]


def decompose(
    measure: ConditionalMeasure, trees: Sequence[Leaves], *, paired: Sequence[int] = ()
) -> Iterator[Decomposition]:
    """Yield the decomposition of each tree; pairs are found among the dimensions ``paired``."""
    waiting: list[Leaves] = []
    for at, leaves in enumerate(trees):
        waiting.append(leaves)
        boxes = sum(len(each.value) for each in waiting)
        if boxes * len(measure.pattern_weights) >= MAX_BOXES or at == len(trees) - 1:
            stack, start = _stack(measure, waiting, paired), 1
            for each in waiting:
                rows = np.concatenate([[0], np.arange(start, start + len(each.value))])
                yield Decomposition(measure, stack, rows=rows, value=each.value)
                start += len(each.value)
            waiting = []


def _stack(measure: ConditionalMeasure, trees: Sequence[Leaves], paired: Sequence[int]) -> _Stack:
    width = trees[0].low.shape[1]
    low = np.vstack([np.full((1, width), -np.inf), *(leaves.low for leaves in trees)])
    high = np.vstack([np.full((1, width), np.inf), *(leaves.high for leaves in trees)])
    masses = measure.masses(low, high)
    clamped = {}
    for j in sorted(paired)[1:]:
        passes = measure.passes(low, high, masses=masses, clamp=j)
        clamped.update({(i, j): (passes.outside[i], passes.inside[i]) for i in sorted(paired) if i < j})
    return _Stack(low, high, measure.passes(low, high, masses=masses), clamped)


class Decomposition:
    """The functional ANOVA of one tree.

    Args:
        measure: The distribution over the space.
        stack: Boxes of many trees, the box of everything first, with what the passes found for them.
        rows: Which of the boxes to take: the first one, then the leaves of the tree; ``1 + l``.
        value: The value on each leaf, ``l``.
    """

    def __init__(self, measure: ConditionalMeasure, stack: _Stack, *, rows: Array, value: Array) -> None:
        self.measure = measure
        self._stack, self._rows, self._value = stack, rows, value
        self._low, self._high = stack.low[rows], stack.high[rows]
        self._segments: dict[int, _Segments] = {}
        probability = stack.passes.total[rows[1:]] / stack.passes.total[0]
        self.mean = float(probability @ self._value)
        self.variance = float(probability @ (self._value - self.mean) ** 2)

    def main(self, i: int) -> float:
        """Return the share of the variance that a dimension explains alone, where it is active."""
        segments = self._segments_of(i)
        mean, weight = self._profile(i, segments)
        present = float(weight @ segments.share)
        if present <= 0.0 or self.variance <= 0.0:
            return 0.0
        share = segments.share * weight / present
        return present * float(share @ (mean - share @ mean) ** 2) / self.variance

    def at(self, i: int, points: Array) -> Array:
        """Return the mean of the tree at encoded values of a dimension, where it is active."""
        dim = self.measure.dimensions[i]
        cover = (self._low[:, dim.column, None] < points) & (points <= self._high[:, dim.column, None])
        return self._profile(i, _Segments(np.ones(len(points)), dim.case_of(points), cover))[0]

    def pairs(self) -> dict[tuple[int, int], float]:
        """Return the further share of each pair of dimensions that the stack was made for, where both are active."""
        return {(i, j): self._pair(i, j, *found) for (i, j), found in self._stack.clamped.items()}

    def _profile(self, i: int, segments: _Segments) -> tuple[Array, Array]:
        """Return the mean on each segment given that the dimension is active, and how likely that is there."""
        parts = self._parts(i, segments, outside=self._stack.passes.outside[i], inside=self._stack.passes.inside[i])
        joint = parts.sum(axis=0)
        weight = joint[0]
        return (self._value @ joint[1:]) / np.where(weight > 0, weight, 1.0), weight

    def _pair(self, i: int, j: int, outside: Array, inside: Array) -> float:
        """Return the interaction of two dimensions; the second does not decide about the first."""
        first, second = self._segments_of(i), self._segments_of(j)
        one = self._parts(i, first, outside=outside, inside=inside)
        other = self._parts(j, second, outside=np.ones((1, 1)), inside=self._stack.passes.inside[j])
        patterns = max(len(one), len(other))
        one = np.broadcast_to(one, (patterns, *one.shape[1:]))
        other = np.broadcast_to(other, (patterns, *other.shape[1:]))
        weight = one[:, 0].T @ other[:, 0]
        total = (np.swapaxes(one[:, 1:] * self._value[:, None], 1, 2) @ other[:, 1:]).sum(axis=0)
        share = weight * first.share[:, None] * second.share
        present = float(share.sum())
        if present <= 0.0 or self.variance <= 0.0:
            return 0.0
        mean = total / np.where(weight > 0, weight, 1.0)
        share = share / present
        by_first, by_second = share.sum(axis=1), share.sum(axis=0)
        mean_first = (share * mean).sum(axis=1) / np.where(by_first > 0, by_first, 1.0)
        mean_second = (share * mean).sum(axis=0) / np.where(by_second > 0, by_second, 1.0)
        rest = mean - mean_first[:, None] - mean_second + float((share * mean).sum())
        return present * float((share * rest**2).sum()) / self.variance

    def _parts(self, i: int, segments: _Segments, *, outside: Array, inside: Array) -> Array:
        """Return, for each pattern, box and segment, the probability of the box given the value; ``s x l x g``."""
        outside = outside if outside.shape[1] == 1 else outside[:, self._rows]
        inside = inside if inside.shape[1] == 1 else inside[:, self._rows]
        dim = self.measure.dimensions[i]
        allowed = self.measure.allowed(dim)[:, None, :]
        below = np.broadcast_to(
            inside * allowed, np.broadcast_shapes(inside.shape, allowed.shape, (1, 1, len(dim.cases)))
        )
        parts: Array = outside[..., None] * below[..., segments.case] * segments.cover
        return parts

    def _segments_of(self, i: int) -> _Segments:
        if i not in self._segments:
            self._segments[i] = self._cut(self.measure.dimensions[i])
        return self._segments[i]

    def _cut(self, dim: Dimension) -> _Segments:
        low, high = self._low[:, dim.column], self._high[:, dim.column]
        ends = np.unique(np.concatenate([low, high, dim.cuts]))
        share = dim.cumulative(ends[1:]) - dim.cumulative(ends[:-1])
        kept = np.flatnonzero(share > 0)
        starts, stops = ends[kept], ends[kept + 1]
        cover = (low[:, None] <= starts) & (stops <= high[:, None])
        return _Segments(share[kept], np.searchsorted(dim.cuts, starts, side="right") - 1, cover)
