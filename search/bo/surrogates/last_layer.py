"""The surrogates ``dngo`` and ``ensemble``: networks whose last layer is Bayesian, one or several of them.

``dngo`` (Snoek et al., ICML 2015): one network is trained, then its output layer is replaced by Bayesian linear regression on
the last hidden units, whose precisions maximize the evidence. ``ensemble``: several such networks from different draws of
the prior, each drawn towards its own draw (anchored ensembles, Pearce et al., AISTATS 2020; deep ensembles,
Lakshminarayanan et al., NeurIPS 2017), so that they agree on the data and differ far from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ...strategy import check_integer
from ..rows import Rows
from .linear import LinearModel, Weights
from .networks import Inputs, Shape, descend, seeded
from .posterior_model import check_finite

_RATE = 0.02
_NOISE_LEVEL = 1e-3
_ROUNDS = 30
_FOLDS = 4
_FEWEST = 8


class Ensemble(LinearModel):
    """Networks with Bayesian output layers, independent for each target; the posterior has the moments of their mixture.

    Args:
        rows: The space's rows.
        networks: At least 1.
        units: Of each hidden layer, at least 1.
        layers: Hidden layers, at least 1.
        steps: Of Adam on all observations at once, at least 1.
        seed: Of the draws from the prior, at least 0.
    """

    def __init__(
        self, rows: Rows, networks: int = 5, units: int = 32, layers: int = 2, steps: int = 200, seed: int = 0
    ) -> None:
        super().__init__()
        self._networks = check_integer(networks, "networks", low=1)
        self._units = check_integer(units, "units", low=1)
        self._layers = check_integer(layers, "layers", low=1)
        self._steps = check_integer(steps, "steps", low=1)
        self._seed = check_integer(seed, "seed", low=0)
        self._inputs = Inputs(rows)
        self._shape = Shape(self._inputs.width, self._inputs.active, (self._units,) * self._layers)
        self._X = torch.empty(0, rows.d, dtype=torch.float64)
        self._theta = self._center = self._root = torch.empty(0)
        self._targets: tuple[int, ...] = ()
        self._found: list[list[float]] = []

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,  # noqa: ARG002 - the noise is learned
        *,
        start: Sequence[Sequence[float]] = (),  # noqa: ARG002 - networks are trained anew
        refit: bool = True,  # noqa: ARG002
    ) -> None:
        """Learn from observations; see `Surrogate.fit`.

        Raises:
            RuntimeError: The targets are not finite.
        """
        check_finite(Y, "networks")
        m, n, k = Y.shape[1], len(Y), self._networks
        inputs = self._inputs(X)
        known = self._known(n)
        total = len(known)
        prior = self._shape.draw(total, seeded(self._seed)).repeat(m, 1)
        known, targets = known.repeat(m, 1), Y.T.repeat_interleave(total, dim=0)
        theta = self._train(prior, inputs, targets, known)
        features = _with_one(self._shape.units_and_output(theta, inputs)[0])
        inflation = _inflation(features, targets, known).reshape(m, total).mean(dim=1)
        center, root, precisions = regress(features, targets, torch.ones_like(known))
        self._theta = theta.reshape(m, total, -1)[:, :k]
        self._center = center.reshape(m, total, -1)[:, :k]
        self._root = root.reshape(m, total, *root.shape[1:])[:, :k] * inflation.sqrt()[:, None, None, None]
        self._found = precisions.reshape(m, total, 2)[:, :k].reshape(m, -1).tolist()
        self._targets = tuple(range(m))
        self._weights = Weights.standard(m, (k if k > 1 else 0) + k * center.shape[-1])
        self._X = X

    def _known(self, n: int) -> Tensor:
        """Return which of `n` observations each network is trained on, 0 or 1; the first networks make the predictions.

        Each of several networks leaves its share out, which tells how wrong they are between observations. One or two know
        all of them, and others are trained for that alone.
        """
        k = self._networks
        folds = k if k >= _FOLDS else _FOLDS
        share = torch.arange(n) % folds
        known = (share[None, :] != torch.arange(folds)[:, None]).to(torch.float64)
        if n < _FEWEST:
            known = torch.ones_like(known)
        return known if k >= _FOLDS else torch.cat([torch.ones(k, n, dtype=torch.float64), known])

    def _train(self, prior: Tensor, inputs: Tensor, Y: Tensor, known: Tensor) -> Tensor:
        """Return the networks of highest posterior density, each with its own noise, around their draws from the prior."""
        # half the digits are enough for a descent, and twice as fast
        spread, prior, inputs, Y, known = (part.float() for part in (self._shape.spread, prior, inputs, Y, known))
        n = known.sum(dim=1)

        def loss(theta: Tensor) -> Tensor:
            log_noise, parameters = theta[:, 0], theta[:, 1:]
            output = self._shape.units_and_output(parameters, inputs)[1]
            squares = (known * (output - Y).square()).sum(dim=1)
            fit = 0.5 * squares * torch.exp(-log_noise) + 0.5 * n * log_noise
            anchor = ((parameters - prior) / spread).square().sum(dim=1)
            return (fit + 0.5 * anchor + 0.5 * (log_noise - math.log(_NOISE_LEVEL)).square() / 4.0) / n

        start = torch.cat([torch.full((len(prior), 1), -2.0), prior], dim=1)
        return descend(loss, start, steps=self._steps, rate=_RATE)[:, 1:].to(torch.float64)

    @property
    def hyperparameters(self) -> list[list[float]]:
        """The precisions of output weights and noise, per target and network."""
        return [self._found[target] for target in self._targets]

    def _linear(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and features; see `LinearModel`. The features are the members' deviations and their own units."""
        chosen = list(self._targets)
        m, k = len(chosen), self._networks
        theta = self._theta[chosen].reshape(m * k, -1)
        units = _with_one(self._shape.units_and_output(theta, self._inputs(X))[0]).reshape(m, k, len(X), -1)
        members = (units @ self._center[chosen][..., None]).squeeze(-1)
        mean = members.mean(dim=1)
        own = (units @ self._root[chosen]) / math.sqrt(k)
        features = own.movedim(1, 2).reshape(m, len(X), -1)
        if k > 1:
            off = (members - mean[:, None]).transpose(1, 2) / math.sqrt(k)
            features = torch.cat([off, features], dim=-1)
        return mean, features

    def _copy(self) -> Self:
        other = type(self).__new__(type(self))
        torch.nn.Module.__init__(other)
        other.__dict__.update({name: value for name, value in self.__dict__.items() if name not in other.__dict__})
        return other


def dngo(rows: Rows, units: int = 50, layers: int = 3, steps: int = 150, seed: int = 0) -> Ensemble:
    """Return the surrogate of Snoek et al. (2015): one network of three layers of 50 units.

    Args:
        rows: The space's rows.
        units: Of each hidden layer, at least 1.
        layers: Hidden layers, at least 1.
        steps: Of Adam, at least 1.
        seed: Of the first weights, at least 0.
    """
    return Ensemble(rows, networks=1, units=units, layers=layers, steps=steps, seed=seed)


def _with_one(units: Tensor) -> Tensor:
    return torch.cat([units, torch.ones_like(units[..., :1])], dim=-1)


def _inflation(features: Tensor, Y: Tensor, known: Tensor) -> Tensor:
    """Return how much larger squared errors are than predicted where a network was not trained, a `k`-dim Tensor.

    Units that were trained on observations fit them better than what lies between; the ratio is that of a scale parameter
    with one pseudo-observation at 1. It is never below 1.
    """
    center, root, precisions = regress(features, Y, known)
    left = 1.0 - known
    error = (Y - (features @ center[..., None]).squeeze(-1)).square()
    variance = (features @ root).square().sum(dim=-1) + 1.0 / precisions[:, 1:]
    return ((left * error / variance).sum(dim=1) + 1.0).div(left.sum(dim=1) + 1.0).clamp_min(1.0)


def regress(features: Tensor, Y: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bayesian linear regression with precisions that maximize the evidence (Bishop 2006, section 3.5.2).

    Args:
        features: A `k x n x h`-dim Tensor.
        Y: A `k x n`-dim Tensor.
        known: Which of the observations are used, 0 or 1, `k x n`-dim.

    Returns:
        The posterior mean of the weights, `k x h`, a root of their covariance, `k x h x h`, and the precisions of weights
        and noise, `k x 2`.
    """
    features, Y = features * known[..., None], Y * known
    n = known.sum(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(features.transpose(-1, -2) @ features)
    values = values.clamp_min(0.0)
    along = (vectors.transpose(-1, -2) @ (features.transpose(-1, -2) @ Y[..., None])).squeeze(-1)
    total = Y.square().sum(dim=-1)
    weight = torch.ones(len(Y), 1, dtype=Y.dtype)
    noise = torch.full((len(Y), 1), 1.0 / 0.01, dtype=Y.dtype)
    for _ in range(_ROUNDS):
        center = noise * along / (weight + noise * values)
        used = (noise * values / (weight + noise * values)).sum(dim=-1, keepdim=True)
        off = (total - 2.0 * (center * along).sum(-1) + (values * center.square()).sum(-1)).clamp_min(0.0)[:, None]
        # one pseudo-observation each keeps the precisions finite: of unit variance, and of the noise level
        weight = (used + 1.0) / (center.square().sum(dim=-1, keepdim=True) + 1.0)
        noise = ((n - used).clamp_min(0.0) + 1.0) / (off + _NOISE_LEVEL)
    center = noise * along / (weight + noise * values)
    root = vectors * (weight + noise * values).rsqrt()[:, None, :]
    return (vectors @ center[..., None]).squeeze(-1), root, torch.cat([weight, noise], dim=1)
