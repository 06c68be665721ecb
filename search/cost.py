"""How long an evaluation takes: a Gaussian process over log seconds. It knows configurations and seconds, nothing else.

Loads torch; import it where durations are needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .bo.gp import GaussianProcess
from .bo.rows import Rows
from .candidate import SUCCEEDED

if TYPE_CHECKING:
    from .history import History
    from .space import SearchSpace

ENOUGH = 8
"""The fewest durations that a model is made of."""

_SHORTEST_S = 1e-3


class DurationModel:
    """Predict durations: log seconds are normal, with a mean and a spread by configuration.

    What varies between evaluations of one configuration is estimated on held-out halves of the durations.

    Args:
        space: The space that the configurations come from.
        rows: Its rows, when they are at hand.
        most: The most durations that it learns from, the latest ones, at least `ENOUGH`.
    """

    def __init__(self, space: SearchSpace, *, rows: Rows | None = None, most: int = 256) -> None:
        self._rows = Rows(space) if rows is None else rows
        self._most = max(ENOUGH, most)
        self._gp: GaussianProcess | None = None
        self._center, self._scale, self._noise = 0.0, 1.0, 0.0

    @property
    def ready(self) -> bool:
        """Whether it has learned enough to predict."""
        return self._gp is not None

    def fit(self, configs: Sequence[Mapping[str, Any]], durations_s: Sequence[float]) -> None:
        """Learn from `n` configurations and their durations in seconds; fewer than `ENOUGH` teach nothing.

        Raises:
            RuntimeError: The numbers do not allow a fit.
        """
        self.fit_rows(self._rows.encode(configs), torch.tensor(durations_s, dtype=torch.float64))

    def fit_history(self, history: History) -> None:
        """Learn from what succeeded in a search and says how long it took."""
        known = [o for o in history.observations if o.state == SUCCEEDED and o.duration_s is not None]
        self.fit([o.config for o in known], [o.duration_s or 0.0 for o in known])

    def fit_rows(self, X: Tensor, duration_s: Tensor) -> None:
        """Learn from `n x d` rows and a `n`-dim Tensor of seconds, NaN where unknown; see `fit`."""
        known = torch.isfinite(duration_s).nonzero().flatten()[-self._most :]
        if len(known) < ENOUGH:
            return
        X, y = X[known], duration_s[known].clamp_min(_SHORTEST_S).log()
        self._center = float(y.mean())
        self._scale = float(y.std()) or 1.0
        Y = ((y - self._center) / self._scale)[:, None]
        self._gp = GaussianProcess(self._rows)
        self._gp.fit(X, Y)
        self._noise = self._scale**2 * self._unexplained(X, Y, self._gp.hyperparameters)

    def _unexplained(self, X: Tensor, Y: Tensor, hyperparameters: list[list[float]]) -> float:
        """Return the variance that halves of the data leave unexplained in each other."""
        half = torch.arange(len(X)) % 2 == 0
        excess = []
        for learned in (half, ~half):
            gp = GaussianProcess(self._rows)
            gp.fit(X[learned], Y[learned], start=hyperparameters, refit=False)
            mean, variance = _moments(gp, X[~learned])
            excess.append((Y[~learned, 0] - mean) ** 2 - variance)
        return max(0.0, float(torch.cat(excess).mean()))

    def log_mean(self, X: Tensor) -> Tensor:
        """Return the expected log seconds of `(b) x d`-dim rows, a `(b)`-dim Tensor; differentiable.

        Raises:
            RuntimeError: It has not learned enough; see `ready`.
        """
        mean, _ = _moments(self._fitted(), X)
        return self._center + self._scale * mean

    def quantile_s(self, configs: Sequence[Mapping[str, Any]], share: float = 0.5) -> list[float]:
        """Return the seconds within which ``share`` of the evaluations of each configuration end.

        Args:
            configs: `n` configurations.
            share: In (0, 1); 0.5 is the median.

        Raises:
            RuntimeError: It has not learned enough; see `ready`.
        """
        gp = self._fitted()
        if not configs:
            return []
        with torch.no_grad():
            mean, variance = _moments(gp, self._rows.encode(configs))
        spread = (self._scale**2 * variance + self._noise).sqrt()
        logs = self._center + self._scale * mean + NormalDist().inv_cdf(share) * spread
        return [math.exp(value) for value in logs.tolist()]

    def _fitted(self) -> GaussianProcess:
        if self._gp is None:
            raise RuntimeError(f"The model of durations needs {ENOUGH} of them before it predicts.")
        return self._gp


def _moments(gp: GaussianProcess, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of `(b) x d`-dim rows, both `(b)`-dim."""
    posterior = gp.posterior(X[..., None, :])
    return posterior.mean[..., 0, 0], posterior.variance[..., 0, 0]
