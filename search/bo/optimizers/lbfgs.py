"""The optimizer ``lbfgs``: gradients from several starts. It moves numbers only; `MixedOptimizer` moves the rest too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...strategy import check_integer
from ..parts import AcquisitionFunction
from .settling import Ranked, Settling

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..rows import Rows


class GradientOptimizer(Settling):
    """Multi-start L-BFGS-B within the unit box, all starts in one batch.

    Starts are the best candidate and others drawn in proportion to the exponential of their standardized values, so that
    they cover several modes (the initialization heuristic of Balandat et al., NeurIPS 2020, appendix F). Choices and
    activity stay those of the candidates. Where the acquisition has no gradient, the best candidate comes back.

    Args:
        starts: At least 1.
        steps: Iterations of L-BFGS, at least 1.
    """

    def __init__(self, starts: int = 8, steps: int = 50) -> None:
        super().__init__(tops=check_integer(starts, "starts", low=1), polish_steps=check_integer(steps, "steps", low=1))

    def _improved(
        self,
        acquisition: AcquisitionFunction,  # noqa: ARG002
        rows: Rows,  # noqa: ARG002
        X: Tensor,
        *,
        values: Tensor,
        rng: np.random.Generator,
    ) -> Ranked:
        order = self._first(values, rng)
        return X[order], values[order]

    def _first(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        """Return an order of ranked values whose first are the drawn ones."""
        finite = torch.isfinite(values)
        if int(finite.sum()) <= self._tops:
            return torch.arange(len(values))
        known = values[finite]
        z = (values - known.mean()) / known.std().clamp_min(1e-9)
        weight = torch.where(finite, torch.exp(z.clamp(max=50.0) - z[0].clamp(max=50.0)), torch.zeros_like(z))
        # the largest of weights with exponential clocks are a draw without replacement; the best comes first anyway
        clocks = torch.from_numpy(rng.exponential(size=len(values))) / weight.clamp_min(1e-300)
        clocks[0] = -1.0
        drawn = torch.argsort(clocks, stable=True)[: self._tops]
        rest = torch.ones(len(values), dtype=torch.bool)
        rest[drawn] = False
        return torch.cat([drawn.sort().values, rest.nonzero().flatten()])
