"""The suggester ``penalized``: rows near those under evaluation are worth less, without conditioning the surrogate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from ....errors import SpecError
from ...strategy import check_integer
from ..acquisitions.belief import like
from ..parts import AcquisitionFunction, Search
from .batch import CANDIDATES, Batch

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-9
_FLAT = 1e-7


class Penalized:
    """Local penalization (Gonzalez et al., AISTATS 2016): waiting rows exclude balls in which the optimum cannot lie.

    A row is outside of the ball around a waiting one with the probability of their equation 8, for a function whose slope
    is at most `L`; `L` is the steepest slope of the posterior mean between rows, which needs no gradient and holds for
    choices too. Rows are as far apart as their numbers differ, in the root of the sum of squares, and 1 for each choice.
    An acquisition that can be negative is made positive by a softplus, as in their section 3.

    Args:
        candidates: Rows that each maximization starts from, at least 1.
    """

    def __init__(self, candidates: int = CANDIDATES) -> None:
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`.

        Raises:
            SpecError: There are several objectives.
        """
        if len(search.observed.goals.optimized) != 1:
            raise SpecError("The suggester 'penalized' takes one objective.", hint="Choose 'believer' or 'fantasies'.")
        batch = Batch(search, pending, candidates=self._candidates)
        plain = batch.build(search.surrogate)
        if not getattr(search.acquisition, "logarithmic", False):
            raw = plain
            plain = like(raw, lambda X: softplus(raw(X)).clamp_min(1e-30).log())
        slope = self._slope(batch)
        for _ in range(count):
            function = plain if not len(batch.waiting) else _outside(plain, batch, slope=slope)
            if not len(batch.choose(function)):
                break
        return batch.rows

    @staticmethod
    def _slope(batch: Batch) -> Tensor:
        """Return the steepest slope of the posterior mean between rows that stand for the space."""
        search = batch.search
        X = torch.cat([search.observed.X, batch.candidates])[-2 * CANDIDATES :]
        target = search.observed.goals.optimized[0]
        with torch.no_grad():
            mean = search.surrogate.posterior(X[:, None]).mean[:, 0, target]
        apart = distance(X, X, categorical=search.rows.categorical)
        rise = (mean[:, None] - mean[None, :]).abs()
        slopes = torch.where(apart > _LEAST, rise / apart.clamp_min(_LEAST), torch.zeros_like(rise))
        return slopes.max().clamp_min(_FLAT)


def _outside(plain: AcquisitionFunction, batch: Batch, *, slope: Tensor) -> AcquisitionFunction:
    """Return an acquisition plus the log of the probability that a row is outside of all balls."""
    search, waiting = batch.search, batch.waiting
    target = search.observed.goals.optimized[0]
    posterior = search.surrogate.posterior(waiting[:, None])
    mean = posterior.mean[:, 0, target].detach()
    std = posterior.variance[:, 0, target].detach().clamp_min(_LEAST).sqrt()
    best = search.observed.Y[:, target].max()

    def value(X: Tensor) -> Tensor:
        apart = distance(X[..., 0, :], waiting, categorical=search.rows.categorical)
        outside: Tensor = torch.special.log_ndtr((slope * apart - best + mean) / std).sum(-1)
        return plain(X) + outside

    return like(plain, value)


def distance(A: Tensor, B: Tensor, *, categorical: list[int]) -> Tensor:
    """Return how far apart rows are: the root of squared differences of numbers, and 1 for each other choice.

    Args:
        A: `(b) x d`-dim.
        B: `k x d`-dim.
        categorical: The columns without an order.

    Returns:
        A `(b) x k`-dim Tensor.
    """
    difference = A[..., None, :] - B
    squares = difference * difference
    squares[..., categorical] = (difference[..., categorical] != 0.0).to(A)
    return (squares.sum(-1) + 1e-18).sqrt()
