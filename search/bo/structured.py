"""The surrogate ``of``: a Gaussian process for large discrete spaces, architecture cells and permutations.

Its covariance is a sum, so that a configuration is like another for any of several reasons: it shares values column by
column (the transformed overlap; the edges of a cell that do not matter count as zero), it has the same paths, or the same
operations in the same neighbourhoods, or the same number of each value among like parameters, or its orders agree in
precedence, places or neighbours (`Structure`). With ``M`` the Matern part over numeric columns, but for the places of orders, and
``O'`` the overlap over categorical columns that are in no structure::

    k = 1 + M (s O + sum_c w_c exp(-theta_c D_c) O')

where ``D_c`` are squared distances of features. All weights and length scales are fitted; a sum needs little data to
find out which of its terms matters (additive kernels: Duvenaud et al., NeurIPS 2011).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...errors import SpecError
from .gp import GaussianProcess
from .kernel import CONSTANT, Embedded, MixedKernel
from .rows import Rows
from .warp import COMPRESSED, RANKS, SCALES

_TAIL = 3
_NOISE = (-3.0, 1.5)


class StructuredKernel(MixedKernel):
    """The covariance of rows with structure.

    Its hyperparameters are those of `MixedKernel` with the logs of ``w_c`` and ``theta_c`` before the last three, and in front of
    those the logs of how much each item of a permutation matters: what a feature of two items counts in ``D_c`` is the geometric
    mean of theirs.

    Args:
        rows: The space's rows.
    """

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self._structure = rows.structure
        blocks = self._structure.count
        terms = blocks + 1
        mean = [-math.log(terms), 0.0] * blocks
        inner = torch.tensor(mean + [0.0] * self._structure.items, dtype=torch.float64)
        self.mean = torch.cat([self.mean[:-_TAIL], inner, self.mean[-_TAIL:]])
        self.std = torch.cat([self.std[:-_TAIL], torch.ones_like(inner), self.std[-_TAIL:]])
        self.low = torch.cat([self.low[:-_TAIL], inner - 5.0, self.low[-_TAIL:]])
        self.high = torch.cat([self.high[:-_TAIL], inner + 5.0, self.high[-_TAIL:]])
        if self._c:
            active = max(1.0, min(1.0, rows.width / max(rows.d, 1)) * self._c)
            self.mean[self._n : self._n + self._c] = -math.log(active)
        self.mean[-_TAIL], self.std[-_TAIL] = -math.log(terms), 1.0
        self.mean[-1], self.std[-1] = _NOISE
        self._blocks = blocks
        loose = [i for i, column in enumerate(rows.categorical) if column not in self._structure.columns]
        self._loose = torch.isin(self._owner, torch.tensor(loose, dtype=torch.long))

    def _numbers(self, rows: Rows) -> list[int]:
        return [column for column in rows.numeric if column not in rows.structure.columns]

    def embed(self, X: Tensor) -> Embedded:
        """Split a `(b) x n x d`-dim Tensor of rows and count what is in them."""
        plain = super().embed(self._structure.live(X))
        return Embedded(plain.numeric, plain.indicators, tuple(self._structure(X)))

    def __call__(self, v: Tensor, A: Embedded, B: Embedded) -> Tensor:
        """Return covariances without noise; see `MixedKernel.__call__`."""
        scale, share, _ = self.scalars(v)
        weights, thetas = self._terms(v)
        total = scale * self.overlap(v, A, B)
        structured = torch.zeros(())
        for c, (a, b) in enumerate(zip(A.blocks, B.blocks, strict=True)):
            theta = torch.exp(thetas[..., c, None, None])
            if (owner := self._structure.owners.get(c)) is not None:
                roots = self._roots(v, owner)
                a, b = a * roots, b * roots
            structured = structured + weights[..., c, None, None] * torch.exp(-theta * _squares(a, b))
        if self._blocks:
            if bool(self._loose.any()):
                structured = structured * torch.exp(
                    -self._distance(
                        A.indicators[..., self._loose],
                        B.indicators[..., self._loose],
                        self._overlap_roots(v)[..., self._loose],
                    )
                )
            total = total + structured
        if self._n:
            total = total * (share + (1.0 - share) * self.matern(v, A, B))
        return CONSTANT + total

    def diagonal(self, v: Tensor) -> Tensor:
        """Return the prior variance, `(m) x 1 x 1`-dim."""
        weights, _ = self._terms(v)
        return super().diagonal(v) + weights.sum(-1)[..., None, None]

    def _terms(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights and the logs of the inverse squared length scales of the blocks, each `(m) x c`-dim."""
        inner = v[..., self._n + self._c : self._n + self._c + 2 * self._blocks]
        return torch.exp(inner[..., 0::2]), inner[..., 1::2]

    def _roots(self, v: Tensor, owner: Tensor) -> Tensor:
        """Return what features of items are multiplied by, `(m) x 1 x d_k`-dim."""
        start = v.shape[-1] - _TAIL - self._structure.items
        matters = v[..., start : start + self._structure.items]
        return torch.exp((matters[..., owner[0]] + matters[..., owner[1]]) / 4.0)[..., None, :]


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Return squared distances of features, `(b) x n x k`; whichever was made earlier may have fewer columns."""
    width = max(a.shape[-1], b.shape[-1])
    a, b = pad(a, (0, width - a.shape[-1])), pad(b, (0, width - b.shape[-1]))
    squares = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :]
    return (squares - 2.0 * a @ b.transpose(-1, -2)).clamp_min(0.0)


class StructuredProcess(GaussianProcess):
    """Gaussian processes with the structured kernel, one per target.

    Args:
        rows: The space's rows.
        scale: What it learns: ``"ranks"`` (one objective only, else as the other) or ``"compressed"``, see `warp`; None is
            ``"compressed"`` where there are permutations, else ``"ranks"``. Most neighbours of an order are nearly as good, and
            ranks would make much of what is little between them.

    Raises:
        SpecError: ``scale`` is another word.
    """

    def __init__(self, rows: Rows, scale: str | None = None) -> None:
        if scale is not None and scale not in SCALES:
            raise SpecError(f"scale is {scale!r}, expected one of {', '.join(SCALES)}.")
        super().__init__(rows)
        self.scale = scale or (COMPRESSED if rows.structure.items else RANKS)
        self._kernel = StructuredKernel(rows)
