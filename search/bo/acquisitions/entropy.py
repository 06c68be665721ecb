"""Entropy search for one objective: how much an evaluation tells of the optimum. For any posterior, by sampled optima.

BoTorch's own versions need a GPyTorch model; these need a posterior (and, for the joint one, conditioning). The optima are
those of joint posterior samples on rows that stand for the space.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import AcquisitionFunction, Observed, Surrogate
from .belief import Belief, Costly, believe, draw, feasibility, limited, stand_in, the_target

_TINY = 1e-30
_LEAST = 1e-9
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class MES:
    """The log of max-value entropy search (Wang and Jegelka, ICML 2017, equation 6), times the probability that bounds hold.

    Args:
        samples: Of the maximum, at least 1.
        most: Rows that stand for the space, at least 1.
    """

    logarithmic = True

    def __init__(self, samples: int = 16, most: int = 256) -> None:
        self._samples = check_integer(samples, "samples", low=1)
        self._most = check_integer(most, "most", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "mes")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return feasibility(surrogate, belief.bounds)
        X = stand_in(observed, surrogate, most=self._most)
        _, best = _optima(surrogate, X, belief, target=target, count=self._samples, seed=seed)
        model = surrogate.subset_output([target])

        def gain(X: Tensor) -> Tensor:
            posterior = model.posterior(X)
            mean, std = posterior.mean[..., 0, 0], posterior.variance[..., 0, 0].clamp_min(_LEAST).sqrt()
            gamma = (best[:, None] - mean) / std
            log_below = torch.special.log_ndtr(gamma)
            hazard = torch.exp(-0.5 * gamma * gamma - _HALF_LOG_2PI - log_below)
            found: Tensor = (0.5 * gamma * hazard - log_below).mean(0)
            return (found.clamp_min(0.0) + _TINY).log()

        return limited(gain, surrogate, belief.bounds)


class JES:
    """The log of joint entropy search (Hvarfner et al., NeurIPS 2022; Tu et al., NeurIPS 2022), times that bounds hold.

    What an evaluation tells of the place and the value of the optimum together: the entropy of a measurement, less its mean
    entropy when the surrogate also knows a sampled optimum that nothing exceeds, whose variance is matched to that of a
    truncated normal distribution. A row costs one posterior a sample.

    Args:
        samples: Of the optimum, at least 1.
        most: Rows that stand for the space, at least 1.
        noise: The variance of a measurement, in units of the standardized targets, above 0.

    Raises:
        SpecError: ``noise`` is not above 0.
    """

    logarithmic = True

    def __init__(self, samples: int = 8, most: int = 256, noise: float = 0.01) -> None:
        self._samples = check_integer(samples, "samples", low=1)
        self._most = check_integer(most, "most", low=1)
        if not noise > 0.0:
            raise SpecError(f"noise is {noise!r}, expected a number above 0.")
        self._noise = float(noise)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "jes")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return feasibility(surrogate, belief.bounds)
        X = stand_in(observed, surrogate, most=self._most)
        where, best = _optima(surrogate, X, belief, target=target, count=self._samples, seed=seed)
        model = surrogate.subset_output([target])
        knowing = [(model.condition(x[None], y.reshape(1, 1)), y) for x, y in zip(where, best, strict=True)]

        def gain(X: Tensor) -> Tensor:
            before = (model.posterior(X).variance[..., 0, 0] + self._noise).log()
            after = torch.stack([(_truncated(known, X, y) + self._noise).log() for known, y in knowing])
            found: Tensor = 0.5 * (before - after.mean(0))
            return (found.clamp_min(0.0) + _TINY).log()

        return Costly(limited(gain, surrogate, belief.bounds))


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


def _optima(
    surrogate: Surrogate, X: Tensor, belief: Belief, *, target: int, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return the best of each joint posterior sample that keeps the sampled bounds.

    Args:
        surrogate: What is sampled.
        X: `N x d`-dim rows that stand for the space.
        belief: A maximum is at least the best believed value.
        target: The objective.
        count: How many samples.
        seed: Of the samples.

    Returns:
        `count x d`-dim rows and their values, `count`-dim.
    """
    samples = draw(surrogate, X, count=count, seed=seed)
    values = samples[..., target]
    for column, (low, _) in belief.bounds.items():
        values = torch.where(samples[..., column] >= low, values, -torch.inf)
    best, where = values.max(-1)
    return X[where], torch.maximum(best, belief.best(target))
