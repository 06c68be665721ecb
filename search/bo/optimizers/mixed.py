"""How an acquisition is maximized over a mixed and conditional space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..strategy import check_integer
from .descent import descend
from .parts import AcquisitionFunction

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .rows import IsNew, Rows

_CHUNK = 2048
_SCALES = (0.2, 0.05)


class MixedOptimizer:
    """Local search over neighbours, with moves and L-BFGS on the numeric columns.

    The best candidates are mutated one parameter at a time (`SearchSpace.neighbors`: branches, choices and numbers) and
    shaken in all numbers that decide nothing, for a few rounds; the best of that is polished by its gradient with everything
    else held fixed. What comes out is a valid configuration that is new: rounded, repaired and evaluated again.

    Args:
        starts: Rows that a round starts from, at least 1.
        neighbors: Mutations of each, at least 1.
        rounds: At least 0.
        polish_steps: Iterations of L-BFGS, at least 0.
    """

    def __init__(self, starts: int = 3, neighbors: int = 16, rounds: int = 3, polish_steps: int = 12) -> None:
        self._starts = check_integer(starts, "starts", low=1)
        self._neighbors = check_integer(neighbors, "neighbors", low=1)
        self._rounds = check_integer(rounds, "rounds", low=0)
        self._polish_steps = check_integer(polish_steps, "polish_steps", low=0)

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
        X, values = _ranked(candidates, evaluate(acquisition, candidates))
        for _ in range(self._rounds):
            found = self._around(X[: self._starts], rows, rng)
            best = values[0]
            X, values = _ranked(torch.cat([X, found]), torch.cat([values, evaluate(acquisition, found)]))
            if values[0] <= best:
                break
        return self._finish(acquisition, rows, X, is_new=is_new, values=values)

    def _around(self, X: Tensor, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Return mutations of `k x d` rows, and their numbers shaken a little."""
        configs = rows.decode(X)
        mutated = [near for config in configs for near in rows.space.neighbors(config, rng, count=self._neighbors)]
        free = rows.free(configs)
        shaken = []
        for scale in _SCALES if bool(free.any()) else ():
            noise = torch.from_numpy(rng.standard_normal((self._neighbors // 2, *X.shape))) * scale
            shaken.append(torch.where(free, (X + noise).clamp(0.0, 1.0), X).reshape(-1, X.shape[1]))
        return torch.cat([rows.encode(mutated), *shaken])

    def _finish(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, is_new: IsNew, values: Tensor
    ) -> Tensor:
        """Return the best row that stands for a new configuration, polished if that helps."""
        top = X[: self._starts]
        if self._polish_steps:
            top = torch.cat([top, self._polish(acquisition, rows, top)])
        settled = rows.encode(rows.decode(top))
        X, _ = _ranked(
            torch.cat([settled, X[self._starts :]]), torch.cat([evaluate(acquisition, settled), values[self._starts :]])
        )
        for row in X:
            config = rows.decode(row[None])[0]
            if is_new(config):
                return rows.encode([config])
        return X[:0]

    def _polish(self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor) -> Tensor:
        """Return `k x d` rows after a few steps of L-BFGS in their free columns, all at once."""
        free = rows.free(rows.decode(X))
        if not bool(free.any()):
            return X[:0]

        def negative(flat: Tensor) -> tuple[float, Tensor]:
            moved = X.clone()
            moved[free] = flat
            moved.requires_grad_()
            total: Tensor = -acquisition(moved[:, None]).sum()
            (gradient,) = torch.autograd.grad(total, moved)
            return float(total.detach()), gradient[free]

        start = X[free]
        found, _ = descend(
            negative, start, low=torch.zeros_like(start), high=torch.ones_like(start), steps=self._polish_steps
        )
        moved = X.clone()
        moved[free] = found
        return moved


def evaluate(acquisition: AcquisitionFunction, X: Tensor) -> Tensor:
    """Return the acquisition of `n x d` rows as a `n`-dim Tensor; NaN counts as the worst."""
    with torch.no_grad():
        values = [acquisition(part[:, None]) for part in torch.split(X, _CHUNK)] or [torch.zeros(0, dtype=X.dtype)]
        return torch.nan_to_num(torch.cat(values), nan=-torch.inf)


def _ranked(X: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    order = torch.argsort(values, descending=True, stable=True)
    return X[order], values[order]
