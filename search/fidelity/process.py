"""A Gaussian process over learning curves: fitted to points of curves, it says what each would reach.

Every result at every level counts for every other, as far as the levels have been seen to agree (`kernel`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..bo.descent import WORST, descend
from .kernel import CurveKernel, Points

if TYPE_CHECKING:
    from torch import Tensor

    from ..bo.rows import Rows

_JITTER = 1e-8
_TINY = 1e-12
_COLD_STEPS, _WARM_STEPS = 40, 12
_FITTED = 160


@dataclass(frozen=True)
class CurveData:
    """Points of `N` learning curves.

    Args:
        X: A `N x d`-dim Tensor, the row of each configuration.
        owner: A `n`-dim long Tensor, the curve of each point.
        level: A `n`-dim long Tensor, the position of its level.
        y: A `n`-dim Tensor, its standardized value, to be maximized.
    """

    X: Tensor
    owner: Tensor
    level: Tensor
    y: Tensor


@dataclass(frozen=True)
class Ladder:
    """What is believed of `n` curves at `L` levels, without noise.

    Args:
        mean: A `n x L`-dim Tensor.
        variance: A `n x L`-dim Tensor.
        covariance: Of each level with the full one, a `n x L`-dim Tensor.
    """

    mean: Tensor
    variance: Tensor
    covariance: Tensor


class CurveProcess:
    """A Gaussian process with a `CurveKernel`, conditioned on points of curves.

    Args:
        rows: The space's rows.
        data: The points, at least one.
        levels: How many levels there are.
        start: Hyperparameters of an earlier fit.
        refit: Whether to improve on them; a fit takes the latest of the points.

    Raises:
        RuntimeError: No covariance was positive definite.
    """

    def __init__(
        self, rows: Rows, data: CurveData, *, levels: int, start: Sequence[float] = (), refit: bool = True
    ) -> None:
        self._kernel = CurveKernel(rows, levels=levels)
        self._levels = levels
        self.data = data
        self._points = self._of(data.X, data.owner, data.level, identity=torch.arange(len(data.X)))
        usable = len(start) == len(self._kernel.mean)
        if refit or not usable:
            self._v = self._fit(start if usable else None)
        else:
            self._v = torch.tensor(start, dtype=torch.float64)
        self._know(data)

    @property
    def hyperparameters(self) -> list[float]:
        """What a later fit can start from."""
        found: list[float] = self._v.tolist()
        return found

    def _of(self, X: Tensor, owner: Tensor, level: Tensor, *, identity: Tensor) -> Points:
        return Points(self._kernel.embed(X), owner, level, identity)

    def _know(self, data: CurveData) -> None:
        self.data = data
        self._points = self._of(data.X, data.owner, data.level, identity=torch.arange(len(data.X)))
        noise = self._kernel.noise(self._v)
        K = self._kernel(self._v, self._points, self._points)
        K.diagonal().add_(noise + _JITTER)
        factor, failed = torch.linalg.cholesky_ex(K)
        if int(failed):
            raise RuntimeError("The covariance of the learning curves is not positive definite.")
        eye = torch.eye(len(K), dtype=torch.float64)
        self._inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        self._alpha = torch.cholesky_solve(data.y[:, None], factor)

    # ------------------------------------------------------------------------------------------------ the posterior

    def at(self, X: Tensor, level: Tensor, *, curves: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what is believed of curves at levels.

        Args:
            X: A `n x d`-dim Tensor of configurations.
            level: A `n`-dim long Tensor, the level of each.
            curves: A `n`-dim long Tensor, the positions of the curves they are; None for new configurations.

        Returns:
            Mean and standard deviation, two `n`-dim Tensors, without noise.
        """
        mean, reduced = self._conditioned(X, torch.arange(len(X)), level=level, curves=curves)
        variance = self._kernel.pairs(self._v, level, level) - (reduced * reduced).sum(-1)
        return mean, variance.clamp_min(_TINY).sqrt()

    def ladder(self, X: Tensor, *, curves: Tensor | None = None) -> Ladder:
        """Return what is believed of `n` curves at every level; arguments as for `at`."""
        n, count = len(X), self._levels
        owner, every = torch.arange(n).repeat_interleave(count), torch.arange(count)
        mean, reduced = self._conditioned(X, owner, level=every.repeat(n), curves=curves)
        reduced = reduced.reshape(n, count, -1)
        variance = self._kernel.pairs(self._v, every, every) - (reduced * reduced).sum(-1)
        with_full = self._kernel.pairs(self._v, every, torch.full((count,), count - 1))
        covariance = with_full - (reduced * reduced[:, -1:]).sum(-1)
        return Ladder(mean.reshape(n, count), variance.clamp_min(_TINY), covariance)

    @property
    def noise(self) -> float:
        """The variance of the noise of a result."""
        return float(self._kernel.noise(self._v))

    def mean(self, X: Tensor, level: Tensor, *, curves: Tensor | None = None) -> Tensor:
        """Return the mean at levels, a `n`-dim Tensor; arguments as for `at`."""
        identity = torch.full((len(X),), -1) if curves is None else curves
        return (self._cross(self._of(X, torch.arange(len(X)), level, identity=identity)) @ self._alpha)[:, 0]

    def believe(self, curve: int, level: int) -> None:
        """Go on as if a curve had returned the mean at a level."""
        data = self.data
        value = self.mean(data.X[curve][None], torch.tensor([level]), curves=torch.tensor([curve]))
        owner = torch.cat([data.owner, torch.tensor([curve])])
        at = torch.cat([data.level, torch.tensor([level])])
        self._know(CurveData(data.X, owner, at, torch.cat([data.y, value.detach()])))

    def _conditioned(self, X: Tensor, owner: Tensor, *, level: Tensor, curves: Tensor | None) -> tuple[Tensor, Tensor]:
        identity = torch.full((len(X),), -1) if curves is None else curves
        cross = self._cross(self._of(X, owner, level, identity=identity))
        return (cross @ self._alpha)[:, 0], cross @ self._inverse.T

    def _cross(self, points: Points) -> Tensor:
        return self._kernel(self._v, points, self._points)

    # --------------------------------------------------------------------------------------------- hyperparameters

    def _fit(self, start: Sequence[float] | None) -> Tensor:
        """Return hyperparameters of high posterior probability, by L-BFGS from an earlier fit or the means of the priors."""
        kernel, data = self._kernel, self.data
        latest = slice(-_FITTED, None)
        points = Points(self._points.rows, data.owner[latest], data.level[latest], self._points.identity)
        y = data.y[latest]
        n = len(y)

        def value_and_gradient(v: Tensor) -> tuple[float, Tensor]:
            v = v.detach().requires_grad_()
            covariance = kernel(v, points, points) + (kernel.noise(v) + _JITTER) * torch.eye(n, dtype=torch.float64)
            factor, failed = torch.linalg.cholesky_ex(covariance.detach())
            if int(failed):
                return math.inf, torch.zeros_like(v)
            alpha = torch.cholesky_solve(y[:, None], factor)
            # the gradient of the likelihood in the covariance, Rasmussen and Williams 2006, equation 5.9
            slope = 0.5 * (torch.cholesky_inverse(factor) - alpha @ alpha.T)
            (gradient,) = torch.autograd.grad(covariance, v, grad_outputs=slope)
            z = (v.detach() - kernel.mean) / kernel.std
            likelihood = 0.5 * float(y @ alpha[:, 0]) + float(factor.diagonal().log().sum())
            return (likelihood + 0.5 * float(z @ z)) / n, (gradient + z / kernel.std) / n

        first, steps = torch.clamp(kernel.mean, kernel.low, kernel.high), _COLD_STEPS
        if start is not None:
            warm = torch.tensor(start, dtype=torch.float64)
            if value_and_gradient(warm)[0] < value_and_gradient(first)[0]:
                first, steps = warm, _WARM_STEPS
        found, value = descend(value_and_gradient, first, low=kernel.low, high=kernel.high, steps=steps)
        if value >= WORST:
            raise RuntimeError("The covariance of the learning curves is not positive definite.")
        return found
