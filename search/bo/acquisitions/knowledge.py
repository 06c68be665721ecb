"""The acquisition ``kg``: how much an evaluation will raise the best mean that the surrogate believes in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...strategy import check_integer
from ..parts import AcquisitionFunction
from .belief import Costly, draw, stand_in
from .bounded import Bounded, Setting

_TINY = 1e-30
_LEAST = 1e-9


class KnowledgeGradient(Bounded):
    """The log of the knowledge gradient over a discrete set (Frazier, Powell and Dayanik 2009), times that bounds hold.

    Exact for Gaussian posteriors: after an evaluation, the means of the set are linear in one standard normal number, and
    the expectation of their maximum is a sum over its upper envelope. The set is the rows of highest believed mean, the
    optima of joint posterior samples on rows that stand for the space, and the evaluated row itself. A row costs a joint
    posterior over the set.

    Args:
        size: The size of the set, at least 2.
        most: Rows that stand for the space, at least 1.
    """

    name = "kg"

    def __init__(self, size: int = 16, most: int = 256) -> None:
        self._size = check_integer(size, "size", low=2)
        self._most = check_integer(most, "most", low=1)

    def _function(self, given: Setting) -> AcquisitionFunction:
        belief, model = given.belief, given.model
        known = given.surrogate.X[belief.within]
        order = torch.argsort(belief.mean[belief.within, given.target], descending=True, stable=True)
        X = stand_in(given.observed, given.surrogate, most=self._most)
        optima = X[draw(model, X, count=self._size - self._size // 2, seed=given.seed)[..., 0].argmax(-1)]
        some = torch.unique(torch.cat([known[order[: self._size // 2]], optima]), dim=0)

        def gain(X: Tensor) -> Tensor:
            joint = torch.cat([X, some.expand(*X.shape[:-2], -1, -1)], dim=-2)
            posterior = model.posterior(joint)
            covariance = posterior.distribution.covariance_matrix[..., 0, :]
            slopes = covariance / covariance[..., :1].clamp_min(_LEAST).sqrt()
            return (rise(posterior.mean[..., 0], slopes) + _TINY).log()

        return Costly(given.limited(gain))


def rise(levels: Tensor, slopes: Tensor) -> Tensor:
    """Return ``E[max_i (a_i + b_i z)] - max_i a_i`` for a standard normal ``z``.

    By the upper envelope of the lines (Frazier et al. 2009, section 4.2): where one line takes over from the next at ``c``,
    the expectation gains the change of slope times ``phi(c) - |c| Phi(-|c|)``. All pairs are compared at once instead of
    in order, so that it has a gradient and takes a batch.

    Args:
        levels: ``a``, a `(b) x k`-dim Tensor.
        slopes: ``b``, a `(b) x k`-dim Tensor.

    Returns:
        A `(b)`-dim Tensor, at least 0.
    """
    k = levels.shape[-1]
    flatter = slopes[..., :, None] - slopes[..., None, :]  # b_i - b_j
    lower = levels[..., None, :] - levels[..., :, None]  # a_j - a_i
    order = torch.arange(k)
    same = flatter.abs() < 1e-12
    beaten = (same & ((lower > 0) | ((lower == 0) & (order[None, :] < order[:, None])))).any(-1)
    safe = torch.where(same, torch.ones_like(flatter), flatter)
    crossing = lower / safe
    # line i is highest from the last crossing with a flatter line to the first one with a steeper line
    begins = torch.where(~same & (flatter > 0), crossing, -math.inf).amax(-1)
    ends, following = torch.where(~same & (flatter < 0), crossing, math.inf).min(-1)
    visible = ~beaten & (begins < ends) & torch.isfinite(ends)
    change = (slopes.gather(-1, following) - slopes).clamp_min(0.0)
    at = torch.where(visible, ends, torch.zeros_like(ends)).abs()
    density = torch.exp(-0.5 * at * at) / math.sqrt(2.0 * math.pi)
    tail = 0.5 * torch.erfc(at / math.sqrt(2.0))
    gained: Tensor = torch.where(visible, change * (density - at * tail).clamp_min(0.0), torch.zeros_like(change))
    return gained.sum(-1)
