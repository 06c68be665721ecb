"""The user's priors and weights as a density over rows. Not the priors of a surrogate."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import torch

from ..space.domain import Categorical, Ordinal
from ..space.numeric import Numeric

if TYPE_CHECKING:
    from torch import Tensor

    from ..space import Parameter
    from .rows import Rows


class Preference:
    """The log of the declared prior of a row, relative to a uniform one; differentiable in the numeric columns.

    A column that is not active, and a parameter without prior or weights, count 0.

    Args:
        rows: The space's rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._normal: list[tuple[int, float, float, float]] = []
        self._weighted: list[tuple[int, float, Tensor]] = []
        for path, columns in rows.encoding.columns.items():
            self._add(rows.space.parameters[path], columns[0])

    def _add(self, parameter: Parameter, column: int) -> None:
        domain = parameter.domain
        if isinstance(domain, Numeric) and domain.prior is not None:
            low, high = domain.warp(domain.low), domain.warp(domain.last)
            if high > low:
                # on the unit scale of the column
                curve = NormalDist(
                    (domain.warp(domain.prior.mean) - low) / (high - low), domain.prior.std / (high - low)
                )
                mass = max(curve.cdf(1.0) - curve.cdf(0.0), 1e-12)
                self._normal.append((column, curve.mean, curve.stdev, math.log(mass)))
        elif isinstance(domain, Categorical) and domain.weights is not None:
            share = torch.tensor(domain.weights, dtype=torch.float64)
            scale = float(len(share) - 1) if isinstance(domain, Ordinal) else 1.0
            self._weighted.append((column, scale, (share / share.mean()).log()))

    @property
    def indifferent(self) -> bool:
        """Whether the space declares no prior at all."""
        return not self._normal and not self._weighted

    def __call__(self, X: Tensor) -> Tensor:
        """Return the log density of `(b) x d`-dim rows, a `(b)`-dim Tensor."""
        active = self._rows.active(X)
        total = torch.zeros(X.shape[:-1], dtype=X.dtype)
        for column, mean, std, log_mass in self._normal:
            z = (X[..., column] - mean) / std
            log_density = -0.5 * z * z - math.log(std * math.sqrt(2.0 * math.pi)) - log_mass
            total = total + torch.where(active[..., column], log_density, torch.zeros_like(z))
        for column, scale, table in self._weighted:
            position = (X[..., column].detach() * scale).round().long().clamp(0, len(table) - 1)
            total = total + torch.where(active[..., column], table[position], torch.zeros_like(total))
        return total
