"""A covariance for mixed and conditional rows, as a function of a vector of hyperparameters. Not how they are found.

``k = 1 + s (w k_c + (1 - w) k_c k_n)``: a constant for the unknown mean (variance 1, since targets are standardized), an
additive part over the categorical columns alone, and their product with the numeric ones, after the sum-and-product
kernels for mixed spaces (Ru et al., ICML 2020, equation 6) and the shared terms of tree-structured ones (Jenatton et al.,
ICML 2017). `k_c` is the transformed overlap kernel ``exp(-sum theta_i [x_i != x'_i])``, `k_n` a Matern 5/2 with a length
scale per column. A column that is not active lies in the middle of its values (`rows`), so that configurations of different
branches are related by what they share, and every covariance stays positive definite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from .rows import Rows

_SQRT_5 = math.sqrt(5.0)
CONSTANT = 1.0


@dataclass(frozen=True)
class Embedded:
    """Rows split by kind.

    Args:
        numeric: `(b) x n x d_numeric`-dim.
        indicators: Of the values of categorical columns, `(b) x n x d_indicators`-dim.
        blocks: Count features, each `(b) x n x d_k`-dim, where a kernel takes any.
    """

    numeric: Tensor
    indicators: Tensor
    blocks: tuple[Tensor, ...] = ()


class MixedKernel:
    """The covariance of a space's rows.

    Its hyperparameters are a vector: the logs of the length scales and of the overlap weights, the log of the scale ``s``,
    the logit of the share ``w`` and the log of the noise variance. Each has a normal prior: length scales those of
    Hvarfner et al. (ICML 2024), which grow with the root of the number of columns that are active at once.
    """

    def __init__(self, rows: Rows) -> None:
        cards = rows.encoding.cardinalities
        numeric = self._numbers(rows)
        self._numeric = torch.tensor(numeric, dtype=torch.long)
        pairs = [(column, code, i) for i, column in enumerate(rows.categorical) for code in range(cards[column])]
        self._column = torch.tensor([pair[0] for pair in pairs], dtype=torch.long)
        self._code = torch.tensor([pair[1] for pair in pairs], dtype=torch.float64)
        self._owner = torch.tensor([pair[2] for pair in pairs], dtype=torch.long)
        self._n, self._c = len(numeric), len(rows.categorical)
        share = min(1.0, rows.width / max(rows.d, 1))
        self.mean, self.std = self._priors(max(1.0, share * self._n), max(1.0, share * self._c))
        self.low = torch.tensor([-4.0] * self._n + [-7.0] * self._c + [-4.0, -6.0, -12.0], dtype=torch.float64)
        self.high = torch.tensor([6.0] * self._n + [3.0] * self._c + [3.0, 6.0, 0.0], dtype=torch.float64)

    def _numbers(self, rows: Rows) -> list[int]:
        """Return the columns of the Matern part."""
        return rows.numeric

    def _priors(self, numeric: float, categorical: float) -> tuple[Tensor, Tensor]:
        # a density over the length scale itself has its mode, which a maximum looks for, a variance lower in the log
        scales = [(math.sqrt(2) - 3.0 + 0.5 * math.log(numeric), math.sqrt(3))] * self._n
        overlaps = [(-0.5 * math.log(categorical), 1.0)] * self._c
        pairs = torch.tensor([*scales, *overlaps, (0.0, 0.5), (0.0, 1.5), (-5.0, 1.0)], dtype=torch.float64)
        return pairs[:, 0], pairs[:, 1]

    def embed(self, X: Tensor) -> Embedded:
        """Split a `(b) x n x d`-dim Tensor of rows."""
        return Embedded(X[..., self._numeric], (X[..., self._column] == self._code).to(X))

    def __call__(self, v: Tensor, A: Embedded, B: Embedded) -> Tensor:
        """Return covariances without noise.

        Args:
            v: Hyperparameters, `(m) x p`-dim.
            A: `(b) x n` rows.
            B: `(b) x k` rows.

        Returns:
            A `(m) x (b) x n x k`-dim Tensor.
        """
        scale, share, _ = self.scalars(v)
        if not self._n:
            return CONSTANT + scale * (self.overlap(v, A, B) if self._c else torch.ones(()))
        matern = self.matern(v, A, B)
        return CONSTANT + scale * (self.overlap(v, A, B) * (share + (1.0 - share) * matern) if self._c else matern)

    def overlap(self, v: Tensor, A: Embedded, B: Embedded) -> Tensor:
        """Return the part over all categorical columns, `(m) x (b) x n x k`-dim."""
        return torch.exp(-self._distance(A.indicators, B.indicators, self._overlap_roots(v)))

    def matern(self, v: Tensor, A: Embedded, B: Embedded) -> Tensor:
        """Return the part over all numeric columns, `(m) x (b) x n x k`-dim."""
        # the tiny offset keeps the root differentiable where rows coincide
        r = _SQRT_5 * torch.sqrt(self._distance(A.numeric, B.numeric, torch.exp(-v[..., : self._n])) + 1e-12)
        return (1.0 + r + r * r / 3.0) * torch.exp(-r)

    def diagonal(self, v: Tensor) -> Tensor:
        """Return the prior variance, `(m) x 1 x 1`-dim."""
        return CONSTANT + self.scalars(v)[0]

    def scalars(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scale, share and noise variance, each `(m) x 1 x 1`-dim."""
        tail = v[..., -3:, None, None]
        return torch.exp(tail[..., 0, :, :]), torch.sigmoid(tail[..., 1, :, :]), torch.exp(tail[..., 2, :, :])

    def penalty(self, v: Tensor) -> tuple[float, Tensor]:
        """Return the negative log density of the prior, up to a constant, and its gradient at a `p`-dim Tensor."""
        z = (v - self.mean) / self.std
        return 0.5 * float(z @ z), z / self.std

    def _overlap_roots(self, v: Tensor) -> Tensor:
        # a mismatch of two values differs in two indicators, of a value and INACTIVE in one
        weights = torch.exp(v[..., self._n : self._n + self._c])
        return torch.sqrt(weights / 2.0)[..., self._owner]

    @staticmethod
    def _distance(A: Tensor, B: Tensor, weights: Tensor) -> Tensor:
        """Return weighted squared distances, `(m) x n x k`, for weights `(m) x d`."""
        a, b = A * weights[..., None, :], B * weights[..., None, :]
        squares = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :]
        return (squares - 2.0 * a @ b.transpose(-1, -2)).clamp_min(0.0)
