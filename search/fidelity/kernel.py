"""A covariance of learning curves: a chain of levels, and a part that each curve has alone. Not how it is fitted.

``f_0 = g_0`` and ``f_l = r_l f_(l-1) + s_l g_l``: every level is the one below, scaled, and something new (Kennedy and O'Hagan,
Biometrika 2000, section 2.2). Each `g` has the covariance ``k_x(x, x')`` of what configurations share (`MixedKernel`), and a level
its own mean, which wanders from level to level. How much a level says of the next one is thus learned for every pair of neighbors,
and a level that says nothing, such as a look before the training, is cut off by a single number close to 0.

A second chain of the same form is of each curve alone, whatever the model of its parameters says of it: its curve goes on as it
did, which is the idea of freeze-thaw (Swersky, Snoek and Adams 2014, section 4), and a share of it is forgotten at every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..bo.kernel import Embedded, MixedKernel

if TYPE_CHECKING:
    from torch import Tensor

    from ..bo.rows import Rows

_GAIN, _NEWS = (0.9, 0.4), (math.log(0.35), 0.7)
_OWN, _KEPT, _DRIFT = (math.log(0.3), 1.0), (2.0, 1.5), (math.log(0.25), 1.0)


@dataclass(frozen=True)
class Points:
    """Points of curves.

    Args:
        rows: `N` embedded configurations.
        owner: The position of each point's configuration among them, a `n`-dim long Tensor.
        level: The position of the level of each point, a `n`-dim long Tensor.
        identity: A number for each configuration, equal for those that are the same curve; a `N`-dim long Tensor, below 0 for
            configurations that equal no other.
    """

    rows: Embedded
    owner: Tensor
    level: Tensor
    identity: Tensor


class CurveKernel:
    """The covariance of points of learning curves.

    Its hyperparameters are the vector of a `MixedKernel`, then ``r_l`` and the log of ``s_l`` for every level but the first, the
    log of the scale of what a curve has alone, the logit of the share of it that is kept at every step, and the log of the
    variance by which the mean wanders in a step; each has a normal prior.

    Args:
        rows: The space's rows.
        levels: How many there are, at least 1.
    """

    def __init__(self, rows: Rows, *, levels: int) -> None:
        self._mixed = MixedKernel(rows)
        self._steps = levels - 1
        pairs = [_GAIN] * self._steps + [_NEWS] * self._steps + [_OWN, _KEPT, _DRIFT]
        extra = torch.tensor(pairs, dtype=torch.float64)
        self._extra = len(extra)
        low = [-0.5] * self._steps + [-4.0] * self._steps + [-6.0, -4.0, -5.0]
        high = [3.0] * self._steps + [1.5] * self._steps + [2.0, 6.0, 2.0]
        self.mean = torch.cat([self._mixed.mean, extra[:, 0]])
        self.std = torch.cat([self._mixed.std, extra[:, 1]])
        self.low = torch.cat([self._mixed.low, torch.tensor(low, dtype=torch.float64)])
        self.high = torch.cat([self._mixed.high, torch.tensor(high, dtype=torch.float64)])

    def embed(self, X: Tensor) -> Embedded:
        """Split a `N x d`-dim Tensor of rows."""
        return self._mixed.embed(X)

    def __call__(self, v: Tensor, A: Points, B: Points) -> Tensor:
        """Return covariances without noise, `n x k`, for a `p`-dim vector of hyperparameters."""
        shared, own, means = self._between(v)
        at = A.level[:, None], B.level[None]
        out = self._mixed(v[: -self._extra], A.rows, B.rows)[A.owner][:, B.owner] * shared[at] + means[at]
        ours, theirs = A.identity[A.owner], B.identity[B.owner]
        same = (ours[:, None] == theirs[None]) & (ours[:, None] >= 0)
        return out + same * own[at]

    def pairs(self, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Return the prior covariance of pairs of points of the same curve, from two long Tensors of levels."""
        shared, own, means = self._between(v)
        scale = self._mixed.diagonal(v[: -self._extra]).squeeze()
        return scale * shared[a, b] + own[a, b] + means[a, b]

    def noise(self, v: Tensor) -> Tensor:
        """Return the variance of the noise, a 0-dim Tensor."""
        return self._mixed.scalars(v[: -self._extra])[2].squeeze()

    def _between(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return how levels covary, three `L x L`-dim Tensors: what is shared, what a curve has alone, and the means."""
        extra = v[-self._extra :]
        gain, news = extra[: self._steps], torch.exp(extra[self._steps : 2 * self._steps])
        log_own, kept, log_drift = extra[2 * self._steps :]
        shared = _chain(gain, news)
        own = torch.exp(log_own) * _chain(gain * torch.sigmoid(kept), news)
        steps = torch.arange(self._steps + 1)
        return shared, own, torch.exp(log_drift) * torch.minimum(steps[:, None], steps[None])


def _chain(gain: Tensor, news: Tensor) -> Tensor:
    """Return the covariance of ``f_0 .. f_s`` where every one is the last one times a gain and news of its own.

    Args:
        gain: A `s`-dim Tensor.
        news: Their standard deviations, a `s`-dim Tensor; that of ``f_0`` is 1.
    """
    rows = [torch.cat([torch.ones(1, dtype=gain.dtype), torch.zeros(len(gain), dtype=gain.dtype)])]
    for step in range(len(gain)):
        new = torch.zeros(len(gain) + 1, dtype=gain.dtype)
        new[step + 1] = 1.0
        rows.append(gain[step] * rows[-1] + news[step] * new)
    factor = torch.stack(rows)
    return factor @ factor.T
