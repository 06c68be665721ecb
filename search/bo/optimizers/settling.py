"""What all optimizers share: values of many rows, gradient steps, and how the best rows become a new configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

from ..descent import descend
from ..parts import AcquisitionFunction

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..rows import IsNew, Rows

_CHUNK = 512
Ranked = tuple["Tensor", "Tensor"]
"""`n x d`-dim rows and their `n`-dim values, the best first."""


class Settling(ABC):
    """An optimizer that looks further from the best candidates, and settles on the best new configuration that it found.

    Args:
        tops: How many of the best rows are polished and rounded.
        polish_steps: Iterations of L-BFGS on their numbers, at least 0.
    """

    def __init__(self, *, tops: int, polish_steps: int) -> None:
        self._tops = tops
        self._polish_steps = polish_steps

    def maximize(
        self,
        acquisition: AcquisitionFunction,
        rows: Rows,
        *,
        candidates: Tensor,
        is_new: IsNew,
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the best new row found; see `AcquisitionOptimizer.maximize`."""
        X, values = ranked(candidates, evaluate(acquisition, candidates))
        X, values = self._improved(acquisition, rows, X, values=values, rng=rng)
        top = X[: self._tops]
        if self._polish_steps:
            top = torch.cat([top, polish(acquisition, rows, top, steps=self._polish_steps)])
        settled = rows.encode(rows.decode(top))
        found = torch.cat([evaluate(acquisition, settled), values[self._tops :]])
        return first_new(rows, ranked(torch.cat([settled, X[self._tops :]]), found)[0], is_new)

    @abstractmethod
    def _improved(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, values: Tensor, rng: np.random.Generator
    ) -> Ranked:
        """Return ranked rows that are better than those given, which may be among them."""


def evaluate(acquisition: AcquisitionFunction, X: Tensor) -> Tensor:
    """Return the acquisition of `n x d` rows as a `n`-dim Tensor; NaN counts as the worst."""
    with torch.no_grad():
        values = [acquisition(part[:, None]) for part in torch.split(X, _CHUNK)] or [torch.zeros(0, dtype=X.dtype)]
        return torch.nan_to_num(torch.cat(values), nan=-torch.inf)


def ranked(X: Tensor, values: Tensor) -> Ranked:
    """Return `n x d` rows and their values from the best to the worst; equal ones keep their order."""
    order = torch.argsort(values, descending=True, stable=True)
    return X[order], values[order]


def joined(acquisition: AcquisitionFunction, found: Tensor, *, X: Tensor, values: Tensor) -> Ranked:
    """Return ranked rows and values with those of `k x d` other rows."""
    if not len(found):
        return X, values
    return ranked(torch.cat([X, found]), torch.cat([values, evaluate(acquisition, found)]))


def first_new(rows: Rows, X: Tensor, is_new: IsNew) -> Tensor:
    """Return the first of `n x d` rows that stands for a new configuration, as its encoding; `0 x d` when none does."""
    for row in X:
        config = rows.decode(row[None])[0]
        if is_new(config):
            return rows.encode([config])
    return X[:0]


def polish(acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, steps: int) -> Tensor:
    """Return `k x d` rows after a few steps of L-BFGS in their free columns, all at once.

    None come back where nothing can move.
    """
    free = rows.free(rows.decode(X))
    if not bool(free.any()):
        return X[:0]
    return ascend(lambda moved: acquisition(moved[:, None]).sum(), X, free=free, steps=steps)


def ascend(
    value: AcquisitionFunction,
    X: Tensor,
    *,
    free: Tensor,
    steps: int,
    low: Tensor | None = None,
    high: Tensor | None = None,
) -> Tensor:
    """Return `k x d` rows after a few steps of L-BFGS in some of their entries; as they are without a gradient.

    Args:
        value: Maps `k x d` rows to a number to maximize.
        X: Where to begin.
        free: What may move; a `k x d`-dim bool Tensor.
        steps: The most iterations.
        low: Where entries end below, a `k x d`-dim Tensor; None is 0.
        high: Where they end above; None is 1.
    """

    def negative(flat: Tensor) -> tuple[float, Tensor]:
        moved = X.clone()
        moved[free] = flat
        moved.requires_grad_()
        total = -value(moved)
        if not total.requires_grad:
            return float(total), torch.zeros_like(flat)  # where nothing has a slope, the first step is the last
        (gradient,) = torch.autograd.grad(total, moved)
        return float(total.detach()), gradient[free]

    start = X[free]
    least = torch.zeros_like(start) if low is None else low[free]
    most = torch.ones_like(start) if high is None else high[free]
    found, _ = descend(negative, start, low=least, high=most, steps=steps)
    moved = X.clone()
    moved[free] = found
    return moved
