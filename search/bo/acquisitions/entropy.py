"""Entropy search for one objective: how much an evaluation tells of the optimum. For any posterior, by sampled optima.

BoTorch's own versions need a GPyTorch model; these need a posterior (and, for the joint one, conditioning). The optima are
those of joint posterior samples on rows that stand for the space.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...strategy import check_integer, check_number
from ..parts import AcquisitionFunction, Surrogate
from .belief import Costly, draw, stand_in
from .bounded import LARGEST, Bounded, Setting

_TINY = 1e-30
_LEAST = 1e-9
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class MES(Bounded):
    """The log of max-value entropy search (Wang and Jegelka, ICML 2017, equation 6), times the probability that bounds hold.

    Args:
        samples: Of the maximum, at least 1.
        most: Rows that stand for the space, at least 1.
    """

    name = "mes"

    def __init__(self, samples: int = 16, most: int = 256) -> None:
        self._samples = check_integer(samples, "samples", low=1)
        self._most = check_integer(most, "most", low=1)

    def _function(self, given: Setting) -> AcquisitionFunction:
        _, best = _optima(given, most=self._most, count=self._samples)
        model = given.model

        def gain(X: Tensor) -> Tensor:
            posterior = model.posterior(X)
            mean, std = posterior.mean[..., 0, 0], posterior.variance[..., 0, 0].clamp_min(_LEAST).sqrt()
            gamma = (best[:, None] - mean) / std
            log_below = torch.special.log_ndtr(gamma)
            hazard = torch.exp(-0.5 * gamma * gamma - _HALF_LOG_2PI - log_below)
            found: Tensor = (0.5 * gamma * hazard - log_below).mean(0)
            return (found.clamp_min(0.0) + _TINY).log()

        return given.limited(gain)


class JES(Bounded):
    """The log of joint entropy search (Hvarfner et al., NeurIPS 2022; Tu et al., NeurIPS 2022), times that bounds hold.

    What an evaluation tells of the place and the value of the optimum together: the entropy of a measurement, less its mean
    entropy when the surrogate also knows a sampled optimum that nothing exceeds, whose variance is matched to that of a
    truncated normal distribution. A row costs one posterior a sample.

    Args:
        samples: Of the optimum, at least 1.
        most: Rows that stand for the space, at least 1.
        noise: The variance of a measurement, in units of the standardized targets, above 0.

    Raises:
        SpecError: ``noise`` is no number above 0.
    """

    name = "jes"

    def __init__(self, samples: int = 8, most: int = 256, noise: float = 0.01) -> None:
        self._samples = check_integer(samples, "samples", low=1)
        self._most = check_integer(most, "most", low=1)
        self._noise = check_number(noise, "noise", low=_LEAST, high=LARGEST)

    def _function(self, given: Setting) -> AcquisitionFunction:
        where, best = _optima(given, most=self._most, count=self._samples)
        model = given.model
        knowing = [(model.condition(x[None], y.reshape(1, 1)), y) for x, y in zip(where, best, strict=True)]

        def gain(X: Tensor) -> Tensor:
            before = (model.posterior(X).variance[..., 0, 0] + self._noise).log()
            after = torch.stack([(_truncated(known, X, y) + self._noise).log() for known, y in knowing])
            found: Tensor = 0.5 * (before - after.mean(0))
            return (found.clamp_min(0.0) + _TINY).log()

        return Costly(given.limited(gain))


def _truncated(surrogate: Surrogate, X: Tensor, most: Tensor) -> Tensor:
    """Return the variance of a target that is at most ``most``, at `(b) x 1 x d`-dim rows; `(b)`-dim."""
    posterior = surrogate.posterior(X)
    mean, variance = posterior.mean[..., 0, 0], posterior.variance[..., 0, 0].clamp_min(_LEAST)
    gamma = (most - mean) / variance.sqrt()
    # far above the bound everything is known: the share tends to 0 there, and the formula to 0 / 0
    gamma = gamma.clamp_min(-8.0)
    hazard = torch.exp(-0.5 * gamma * gamma - _HALF_LOG_2PI - torch.special.log_ndtr(gamma))
    share: Tensor = variance * (1.0 - hazard * (gamma + hazard)).clamp(0.0, 1.0)
    return share


def _optima(given: Setting, *, most: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the best of each joint posterior sample that keeps the sampled bounds.

    Args:
        given: What is sampled; a maximum is at least the best believed value.
        most: Rows that stand for the space.
        count: How many samples.

    Returns:
        `count x d`-dim rows and their values, `count`-dim.
    """
    X = stand_in(given.observed, given.surrogate, most=most)
    samples = draw(given.surrogate, X, count=count, seed=given.seed)
    values = samples[..., given.target]
    for column, (low, _) in given.belief.bounds.items():
        values = torch.where(samples[..., column] >= low, values, -torch.inf)
    best, where = values.max(-1)
    return X[where], torch.maximum(best, given.best)
