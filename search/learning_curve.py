"""Where a learning curve will end: an ensemble of parametric curves with everything integrated out in closed form. Numpy only.

Each member is ``y(t) = a + b g(t)`` with a shape `g` of its own: powers and exponentials at several rates, and the logarithm,
after the families of Domhan, Springenberg and Hutter (IJCAI 2015). A shape that is fixed leaves a linear regression, whose
coefficients and noise have a conjugate prior: its forecast is a Student t distribution, and its marginal likelihood weighs it in
the ensemble, so that no Markov chain is needed and a forecast takes well under a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Shape = Callable[[FloatArray], FloatArray]

_POWERS = (0.25, 0.5, 1.0, 2.0)
_RATES = (2.0, 5.0, 12.0, 30.0)
_SHAPE, _SCALE = 1.0, 1e-4
_SLOPE_VARIANCE = 100.0


@dataclass(frozen=True)
class Forecast:
    """A mixture of Student t distributions.

    Args:
        means: `k` means.
        scales: `k` scales, above 0.
        weights: `k` weights that sum to 1.
        degrees: The degrees of freedom of all of them.
    """

    means: FloatArray
    scales: FloatArray
    weights: FloatArray
    degrees: float

    @property
    def mean(self) -> float:
        """The mean of the mixture."""
        return float(self.weights @ self.means)

    def above(self, value: float) -> float:
        """Return the probability of more than ``value``."""
        from scipy.special import stdtr

        return float(self.weights @ stdtr(self.degrees, (self.means - value) / self.scales))


def forecast(steps: Sequence[float], values: Sequence[float], *, at: float) -> Forecast:
    """Return what a curve's value will be at a later step.

    Args:
        steps: `n` steps above 0, at least 2.
        values: The finite values there.
        at: The step that is asked for.

    Raises:
        ValueError: There are fewer than two points, or they do not match.
    """
    t, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(t) < 2 or t.shape != y.shape:
        raise ValueError(f"A forecast takes at least two points, not {len(t)} steps and {len(y)} values.")
    span = float(y.max() - y.min()) or max(abs(float(y[-1])), 1.0) * 1e-3
    z = (y - y[-1]) / span
    members = [_member(g(t), z, g(np.array([at]))[0]) for g in _shapes(max(at, float(t.max())))]
    means, scales, evidence = (np.array(column) for column in zip(*members, strict=True))
    weights = np.exp(evidence - evidence.max())
    return Forecast(means * span + y[-1], scales * span, weights / weights.sum(), 2.0 * _SHAPE + len(t))


def _shapes(end: float) -> list[Shape]:
    """Return the shapes of the members; each is 0 at ``end``, so that ``a`` is the value there."""

    def power(t: FloatArray, c: float) -> FloatArray:
        return np.asarray(t**-c - end**-c)

    def exponential(t: FloatArray, c: float) -> FloatArray:
        return np.asarray(np.exp(-c * t / end) - math.exp(-c))

    powers: list[Shape] = [lambda t, c=c: power(t, c) for c in _POWERS]  # type: ignore[misc]
    rates: list[Shape] = [lambda t, c=c: exponential(t, c) for c in _RATES]  # type: ignore[misc]
    return [*powers, *rates, lambda t: np.log(end / t)]


def _member(g: FloatArray, z: FloatArray, g_at: float) -> tuple[float, float, float]:
    """Return mean and scale of the forecast, and the log marginal likelihood but for a constant (Bishop 2006, exercise 3.12).

    Args:
        g: The shape at `n` steps.
        z: `n` values, 0 for the last and a range of 1.
        g_at: The shape where it is asked for.
    """
    width = float(np.abs(g).max()) or 1.0
    X = np.stack([np.ones_like(g), g / width], axis=1)
    row = np.array([1.0, g_at / width])
    prior = np.diag([1.0 / _SLOPE_VARIANCE, 1.0 / _SLOPE_VARIANCE])
    precision = X.T @ X + prior
    covariance = np.linalg.inv(precision)
    coefficients = covariance @ X.T @ z
    shape = _SHAPE + 0.5 * len(z)
    scale = _SCALE + 0.5 * max(0.0, float(z @ z - coefficients @ precision @ coefficients))
    evidence = -0.5 * float(np.linalg.slogdet(precision)[1]) - shape * math.log(scale)
    spread = math.sqrt(scale / shape * (1.0 + float(row @ covariance @ row)))
    return float(row @ coefficients), spread, evidence
