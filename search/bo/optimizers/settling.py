"""What all optimizers share: values of many rows, gradient steps, and how the best rows become a new configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..descent import descend
from ..parts import AcquisitionFunction

if TYPE_CHECKING:
    from torch import Tensor

    from ..rows import IsNew, Rows

_CHUNK = 512


def evaluate(acquisition: AcquisitionFunction, X: Tensor) -> Tensor:
    """Return the acquisition of `n x d` rows as a `n`-dim Tensor; NaN counts as the worst."""
    with torch.no_grad():
        values = [acquisition(part[:, None]) for part in torch.split(X, _CHUNK)] or [torch.zeros(0, dtype=X.dtype)]
        return torch.nan_to_num(torch.cat(values), nan=-torch.inf)


def ranked(X: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return `n x d` rows and their values from the best to the worst; equal ones keep their order."""
    order = torch.argsort(values, descending=True, stable=True)
    return X[order], values[order]


def first_new(rows: Rows, X: Tensor, is_new: IsNew) -> Tensor:
    """Return the first of `n x d` rows that stands for a new configuration, as its encoding; `0 x d` when none does."""
    for row in X:
        config = rows.decode(row[None])[0]
        if is_new(config):
            return rows.encode([config])
    return X[:0]


def settle(
    acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, values: Tensor, tops: int, is_new: IsNew, steps: int
) -> Tensor:
    """Return the best of ranked rows that stands for a new configuration, the first ones polished if that helps.

    Args:
        acquisition: What is maximized.
        rows: The space's rows.
        X: `n x d`-dim, the best first.
        values: Their values, `n`-dim.
        tops: How many of the first are polished and rounded.
        is_new: Says whether a configuration may be proposed.
        steps: Iterations of L-BFGS.
    """
    top = X[:tops]
    if steps:
        top = torch.cat([top, polish(acquisition, rows, top, steps=steps)])
    settled = rows.encode(rows.decode(top))
    best, _ = ranked(torch.cat([settled, X[tops:]]), torch.cat([evaluate(acquisition, settled), values[tops:]]))
    return first_new(rows, best, is_new)


def polish(acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, steps: int) -> Tensor:
    """Return `k x d` rows after a few steps of L-BFGS in their free columns, all at once.

    None come back where nothing can move.
    """
    free = rows.free(rows.decode(X))
    if not bool(free.any()):
        return X[:0]
    return ascend(lambda moved: acquisition(moved[:, None]).sum(), X, free=free, steps=steps)


def ascend(value: AcquisitionFunction, X: Tensor, *, free: Tensor, steps: int) -> Tensor:
    """Return `k x d` rows after a few steps of L-BFGS in some of their entries, within [0, 1]; as they are without a gradient.

    Args:
        value: Maps `k x d` rows to a number to maximize.
        X: Where to begin.
        free: What may move; a `k x d`-dim bool Tensor.
        steps: The most iterations.
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
    found, _ = descend(negative, start, low=torch.zeros_like(start), high=torch.ones_like(start), steps=steps)
    moved = X.clone()
    moved[free] = found
    return moved
