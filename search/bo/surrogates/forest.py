"""The surrogate ``rf``: random regression forests whose leaves keep statistics, as in SMAC. Not the trees' construction.

Hutter, Hoos and Leyton-Brown, LION 2011 (section 4.1): every tree predicts the mean and the variance of the responses in the
leaf that a row falls into, and the forest those of the mixture, by the law of total variance. Split points are drawn
uniformly between the values that a split has to tell apart (Hutter et al., AIJ 2014, section 4.3.2), which makes the mean
of many trees close to linear between observations and the variance grow with the distance from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from torch import Tensor

from ...strategy import check_integer
from ..rows import Rows
from .gaussian import MIN_VARIANCE
from .posterior_model import PosteriorModel, check_finite

_ABSENT = -1.0
_CHUNK = 512
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Trees:
    """The trees of one target, and per node the number, the mean and the sum of squared deviations of its responses.

    Args:
        trees: Scikit-learn's, as many as there are rows in the arrays.
        statistics: A `3 x E x nodes` Tensor.
    """

    trees: tuple[Any, ...]
    statistics: Tensor

    def leaves(self, features: NDArray[np.float32]) -> Tensor:
        """Return the node of each of `N` rows in each tree; a `E x N`-dim Tensor."""
        found = [tree.apply(features) for tree in self.trees]
        return torch.from_numpy(np.stack(found))

    def with_responses(self, leaves: Tensor, y: Tensor) -> _Trees:
        """Return trees whose leaves also know `q` responses (Welford's update, one response after the other).

        Args:
            leaves: `E x q`-dim.
            y: `q`-dim.
        """
        statistics = self.statistics.clone()
        count, mean, squares = statistics
        tree = torch.arange(len(self.trees))
        for row in range(len(y)):
            at = (tree, leaves[:, row])
            count[at] += 1.0
            off = y[row] - mean[at]
            mean[at] += off / count[at]
            squares[at] += off * (y[row] - mean[at])
        return _Trees(self.trees, statistics)


class RandomForest(PosteriorModel):
    """Random forests over the rows of a space, one per target.

    A choice is split by its values, one against the others; a column that is not active lies below all values of an active
    one. Rows covary by the trees that put them into the same leaf and by what the trees agree on. Observations that come
    later (`condition`) are added to the leaves they fall into, without a new fit.

    Args:
        rows: The space's rows.
        trees: At least 2.
        min_leaf: The fewest observations in a leaf, at least 1.
        seed: Of bootstrap samples and splits; at least 0.
    """

    differentiable = False

    def __init__(self, rows: Rows, trees: int = 32, min_leaf: int = 1, seed: int = 0) -> None:
        super().__init__()
        self._rows = rows
        self._trees = check_integer(trees, "trees", low=2)
        self._min_leaf = check_integer(min_leaf, "min_leaf", low=1)
        self._seed = check_integer(seed, "seed", low=0)
        self._forests: list[_Trees] = []
        self._X = torch.empty(0, rows.d, dtype=torch.float64)

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,  # noqa: ARG002 - the spread in the leaves is the noise
        *,
        start: Sequence[Sequence[float]] = (),  # noqa: ARG002 - a forest has nothing to start from
        refit: bool = True,  # noqa: ARG002 - growing trees is the whole fit
    ) -> None:
        """Learn from observations; see `Surrogate.fit`.

        Raises:
            RuntimeError: The targets are not finite.
        """
        check_finite(Y, "random forest")
        self._X = X
        features = self._features(X)
        self._forests = [self._grow(features, Y[:, target].numpy()) for target in range(Y.shape[1])]

    def _features(self, X: Tensor) -> NDArray[np.float32]:
        """Return `N x d` rows as trees read them: numbers, and an indicator per value of a choice."""
        cards = self._rows.encoding.cardinalities
        X = X.detach()
        active = self._rows.active(X)
        numeric = torch.where(active, X, torch.full_like(X, _ABSENT))[:, self._rows.numeric]
        parts = [numeric]
        parts += [(X[:, c, None] == torch.arange(cards[c])).to(X) for c in self._rows.categorical]
        return np.ascontiguousarray(torch.cat(parts, dim=-1).numpy(), dtype=np.float32)

    def _grow(self, features: NDArray[np.float32], y: Floats) -> _Trees:
        forest = RandomForestRegressor(
            self._trees,
            max_features=5 / 6,
            min_samples_split=max(3, 2 * self._min_leaf),
            min_samples_leaf=self._min_leaf,
            random_state=self._seed,
        ).fit(features, y)
        rng = np.random.default_rng(self._seed)
        trees = tuple(estimator.tree_ for estimator in forest.estimators_)
        nodes = max(tree.node_count for tree in trees)
        statistics = np.zeros((3, len(trees), nodes))
        for i, (tree, drawn) in enumerate(zip(trees, forest.estimators_samples_, strict=True)):
            _draw_thresholds(tree, features[drawn], rng)
            leaf = tree.apply(features[drawn])
            count = np.bincount(leaf, minlength=nodes)
            mean = np.bincount(leaf, y[drawn], minlength=nodes) / np.maximum(count, 1)
            squares = np.bincount(leaf, (y[drawn] - mean[leaf]) ** 2, minlength=nodes)
            statistics[:, i] = count, mean, squares
        return _Trees(trees, torch.from_numpy(statistics))

    @property
    def hyperparameters(self) -> list[list[float]]:
        """Nothing, per target: trees grow anew."""
        return [[] for _ in self._forests]

    @property
    def num_outputs(self) -> int:
        """The number of targets."""
        return len(self._forests)

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance; see `PosteriorModel.moments`."""
        batch, q = X.shape[:-2], X.shape[-2]
        features = self._features(X.reshape(-1, X.shape[-1]))
        means, covariances = [], []
        for forest in self._forests:
            leaves = forest.leaves(features).reshape(self._trees, -1, q)
            mean, covariance = _mixture(leaves, forest.statistics)
            means.append(mean.reshape(*batch, q))
            covariances.append(covariance.reshape(*batch, q, q))
        return torch.stack(means, dim=-1), torch.stack(covariances, dim=-3)

    def condition(self, X: Tensor, Y: Tensor) -> RandomForest:
        """Return a forest whose leaves also know `q x d` rows and their `q x m` targets."""
        features = self._features(X)
        forests = [
            forest.with_responses(forest.leaves(features), Y[:, target].detach())
            for target, forest in enumerate(self._forests)
        ]
        return self._like(torch.cat([self._X, X]), forests)

    def subset_output(self, idcs: Sequence[int]) -> RandomForest:
        """Return a forest of some of the targets."""
        return self._like(self._X, [self._forests[i] for i in idcs])

    def _like(self, X: Tensor, forests: list[_Trees]) -> RandomForest:
        other = RandomForest(self._rows, self._trees, self._min_leaf, self._seed)
        other._X, other._forests = X, forests
        return other


def _mixture(leaves: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments of the mixture of trees, where rows in one leaf share what is not known of it.

    Args:
        leaves: `E x N x q`-dim.
        statistics: Count, mean and squared deviations, `3 x E x nodes`-dim.

    Returns:
        A `N x q` and a `N x q x q`-dim Tensor.
    """
    tree = torch.arange(leaves.shape[0])[:, None, None]
    mean = statistics[1][tree, leaves]
    variance = (statistics[2] / statistics[0].clamp_min(1.0))[tree, leaves]
    center = mean.mean(dim=0)
    off = (mean - center).movedim(0, -1)  # N x q x E
    between = off @ off.transpose(-1, -2) / leaves.shape[0]
    if leaves.shape[-1] == 1:
        return center, between + variance.mean(dim=0)[..., None] + MIN_VARIANCE
    within = torch.zeros_like(between)
    for part in torch.split(torch.arange(leaves.shape[1]), _CHUNK):
        same = leaves[:, part, :, None] == leaves[:, part, None, :]
        within[part] = (same * variance[:, part, :, None]).mean(dim=0)
    return center, between + within


def _draw_thresholds(tree: Any, features: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Move each split of a tree to a uniform place between the values that it tells apart.

    Args:
        tree: Scikit-learn's; its thresholds are changed.
        features: The `n` rows that it was grown on.
        rng: Draws the places.
    """
    inner = np.flatnonzero(tree.feature >= 0)
    if not len(inner):
        return
    reached = tree.decision_path(features)[:, inner].toarray().astype(bool)
    values = features[:, tree.feature[inner]].astype(np.float64)
    left = values <= tree.threshold[inner]
    low = np.where(reached & left, values, -np.inf).max(axis=0)
    high = np.where(reached & ~left, values, np.inf).min(axis=0)
    drawn = low + rng.random(len(inner)) * (high - low) * (1.0 - 1e-6)
    # what is not active is no number: its border is below all active ones
    tree.threshold[inner] = np.where(low < 0.0, 0.5 * _ABSENT, drawn)
