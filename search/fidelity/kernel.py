"""A covariance of learning curves: over configurations, over fidelities, and of each curve with itself. Not how it is fitted.

``k((x, u), (x', u')) = k_x(x, x') (a + (1 - a) m(u, u')) + [x = x'] s (b + (1 - b) m'(u, u'))``

The first term is what configurations share (`MixedKernel`): a part that lasts over all fidelities, ``a``, and a part that is
forgotten with the distance in fidelity, so that how much a low fidelity says of the full one is learned, not assumed. The second
is what only this configuration has: the curve goes on as it did, wherever the model of its parameters is wrong. It is the idea of
freeze-thaw (Swersky, Snoek and Adams 2014, section 4: a process over asymptotes and one per curve) with stationary kernels `m` on
the logarithm of the fidelity (Matern 5/2), which need no curve to decay and are one joint process, so that any point of any curve
informs every other.
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

_SQRT_5 = math.sqrt(5.0)
_EXTRA = 5
_PRIORS = [(math.log(0.5), 0.7), (0.0, 1.5), (math.log(0.3), 1.0), (math.log(0.5), 0.7), (0.0, 1.5)]
_LOW, _HIGH = [-3.0, -5.0, -6.0, -3.0, -5.0], [2.0, 5.0, 2.0, 2.0, 5.0]


@dataclass(frozen=True)
class Points:
    """Points of curves.

    Args:
        rows: `N` embedded configurations.
        owner: The position of each point's configuration among them, a `n`-dim long Tensor.
        u: The fidelity of each point in [0, 1], a `n`-dim Tensor.
        identity: A number for each configuration, equal for those that are the same curve; a `N`-dim long Tensor, below 0 for
            configurations that equal no other.
    """

    rows: Embedded
    owner: Tensor
    u: Tensor
    identity: Tensor


class CurveKernel:
    """The covariance of points of learning curves.

    Its hyperparameters are the vector of a `MixedKernel`, then the log length scale of `m`, the logit of ``a``, the log of ``s``,
    the log length scale of `m'` and the logit of ``b``; each has a normal prior.

    Args:
        rows: The space's rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._mixed = MixedKernel(rows)
        extra = torch.tensor(_PRIORS, dtype=torch.float64)
        self.mean = torch.cat([self._mixed.mean, extra[:, 0]])
        self.std = torch.cat([self._mixed.std, extra[:, 1]])
        self.low = torch.cat([self._mixed.low, torch.tensor(_LOW, dtype=torch.float64)])
        self.high = torch.cat([self._mixed.high, torch.tensor(_HIGH, dtype=torch.float64)])

    def embed(self, X: Tensor) -> Embedded:
        """Split a `N x d`-dim Tensor of rows."""
        return self._mixed.embed(X)

    def __call__(self, v: Tensor, A: Points, B: Points) -> Tensor:
        """Return covariances without noise, `n x k`, for a `p`-dim vector of hyperparameters."""
        shared = self._mixed(v[:-_EXTRA], A.rows, B.rows)[A.owner][:, B.owner]
        log_length, lasting, log_own, log_own_length, own_lasting = v[-_EXTRA:]
        distance = (A.u[:, None] - B.u[None]).abs()
        out = shared * _blend(distance, log_length, lasting)
        ours, theirs = A.identity[A.owner], B.identity[B.owner]
        same = (ours[:, None] == theirs[None]) & (ours[:, None] >= 0)
        return out + same * torch.exp(log_own) * _blend(distance, log_own_length, own_lasting)

    def pairs(self, v: Tensor, u: Tensor, w: Tensor) -> Tensor:
        """Return the prior covariance of pairs of points of the same curve, from two `n`-dim Tensors of fidelities."""
        log_length, lasting, log_own, log_own_length, own_lasting = v[-_EXTRA:]
        distance = (u - w).abs()
        scale = self._mixed.diagonal(v[:-_EXTRA]).squeeze()
        return scale * _blend(distance, log_length, lasting) + torch.exp(log_own) * _blend(
            distance, log_own_length, own_lasting
        )

    def noise(self, v: Tensor) -> Tensor:
        """Return the variance of the noise, a 0-dim Tensor."""
        return self._mixed.scalars(v[:-_EXTRA])[2].squeeze()


def _blend(distance: Tensor, log_length: Tensor, lasting: Tensor) -> Tensor:
    """Return a correlation that falls from 1 to the part that lasts."""
    part = torch.sigmoid(lasting)
    r = _SQRT_5 * distance * torch.exp(-log_length)
    return part + (1.0 - part) * (1.0 + r + r * r / 3.0) * torch.exp(-r)
