"""Functions that are linear in known features with Gaussian weights: their posterior, and their conditioning in closed form.

``f(x) = mean(x) + features(x) . w`` with ``w ~ N(center, covariance)`` is what an ensemble (features: how its members
deviate from their mean) and a Bayesian last layer (features: the units below it) have in common. Not how features are learned.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from .gaussian import MIN_VARIANCE
from .posterior_model import PosteriorModel

_NOISE = 1e-4


@dataclass(frozen=True)
class Weights:
    """What is known of the weights of `m` targets.

    Args:
        center: A `m x r`-dim Tensor.
        covariance: A `m x r x r`-dim Tensor.
    """

    center: Tensor
    covariance: Tensor

    @classmethod
    def standard(cls, m: int, r: int) -> Weights:
        """Return independent standard normal weights."""
        return cls(torch.zeros(m, r, dtype=torch.float64), torch.eye(r, dtype=torch.float64).expand(m, r, r))

    def given(self, features: Tensor, residual: Tensor, noise: float = _NOISE) -> Weights:
        """Return the weights given observations (Bishop 2006, equation 3.50, in the form of the Kalman filter).

        Args:
            features: A `m x q x r`-dim Tensor.
            residual: The observations less the mean, `m x q`-dim.
            noise: The variance of an observation.
        """
        reduced = features @ self.covariance
        gram = reduced @ features.transpose(-1, -2) + noise * torch.eye(features.shape[-2], dtype=torch.float64)
        gain = torch.linalg.solve(gram, reduced).transpose(-1, -2)
        off = residual - (features @ self.center[..., None]).squeeze(-1)
        covariance = self.covariance - gain @ reduced
        covariance = 0.5 * (covariance + covariance.transpose(-1, -2))
        return Weights(self.center + (gain @ off[..., None]).squeeze(-1), covariance)


class LinearModel(PosteriorModel):
    """A surrogate that is linear in features; a subclass sets ``_weights`` and ``_targets`` in its fit.

    Attributes:
        _weights: What is known of the weights, of all targets of the fit.
        _targets: The targets of the fit that it stands for.
    """

    _weights: Weights
    _targets: tuple[int, ...]

    @abstractmethod
    def _linear(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean, `m x N`, and the features, `m x N x r`, of the targets ``_targets`` at `N x d` rows."""

    @abstractmethod
    def _copy(self) -> Self:
        """Return a shallow copy."""

    @property
    def num_outputs(self) -> int:
        """The number of targets."""
        return len(self._targets)

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance; see `PosteriorModel.moments`."""
        batch, q, m = X.shape[:-2], X.shape[-2], self.num_outputs
        mean, features = self._linear(X.reshape(-1, X.shape[-1]))
        mean = mean + (features @ self._weights.center[..., None]).squeeze(-1)
        reduced = features @ self._weights.covariance
        mean = mean.T.reshape(*batch, q, m)
        if q == 1:
            variance = (reduced * features).sum(-1).clamp_min(0.0) + MIN_VARIANCE
            return mean, variance.T.reshape(*batch, m, 1, 1)
        features, reduced = (part.reshape(m, -1, q, part.shape[-1]).movedim(0, 1) for part in (features, reduced))
        covariance = reduced @ features.transpose(-1, -2)
        return mean, covariance.reshape(*batch, m, q, q)

    def condition(self, X: Tensor, Y: Tensor) -> Self:
        """Return a model that also knows `q x d` rows and their `q x m` targets."""
        with torch.no_grad():
            mean, features = self._linear(X)
            other = self._copy()
            other._X = torch.cat([self._X, X])
            other._weights = self._weights.given(features, Y.T - mean)
        return other

    def subset_output(self, idcs: Sequence[int]) -> Self:
        """Return a model of some of the targets."""
        chosen = list(idcs)
        other = self._copy()
        other._targets = tuple(self._targets[i] for i in chosen)
        other._weights = replace(
            self._weights, center=self._weights.center[chosen], covariance=self._weights.covariance[chosen]
        )
        return other
