"""The optimizer ``mixed``: local search and gradients in turn, for mixed and conditional spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...strategy import check_flag, check_integer
from ..parts import AcquisitionFunction
from .exhaustive import ExhaustiveOptimizer
from .settling import Ranked, Settling, joined

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..rows import IsNew, Rows

_SCALES = (0.2, 0.05)
_COSTLY = 2_000
_WIDER, _LONGER = 64, 12


class MixedOptimizer(Settling):
    """Local search over neighbours, with moves and L-BFGS on the numeric columns.

    The best candidates are mutated one parameter at a time (`SearchSpace.neighbors`: branches, choices and numbers) and
    shaken in all numbers that decide nothing, for a few rounds; the best of that is polished by its gradient with everything
    else held fixed. What comes out is a valid configuration that is new: rounded, repaired and evaluated again.

    Orders have many neighbours: for each of their items four more mutations are tried, up to 64, and for a round more, up to 12,
    while there is a gain.

    A space of at most `listing.LISTED` configurations is looked at as a whole instead, so that the optimum is never missed; a
    costly acquisition (an attribute of its function) only up to 2,000.

    Args:
        starts: Rows that a round starts from, at least 1.
        neighbors: Mutations of each, at least 1.
        rounds: At least 0.
        polish_steps: Iterations of L-BFGS, at least 0.
        exhaustive: Whether small finite spaces are looked at as a whole.
    """

    def __init__(
        self, starts: int = 3, neighbors: int = 16, rounds: int = 3, polish_steps: int = 12, exhaustive: bool = True
    ) -> None:
        super().__init__(
            tops=check_integer(starts, "starts", low=1),
            polish_steps=check_integer(polish_steps, "polish_steps", low=0),
        )
        self._neighbors = check_integer(neighbors, "neighbors", low=1)
        self._rounds = check_integer(rounds, "rounds", low=0)
        self._exhaustive = check_flag(exhaustive, "exhaustive")
        self._all = ExhaustiveOptimizer()

    def lists(self, rows: Rows) -> bool:
        """Say whether the space is looked at as a whole."""
        return self._exhaustive and rows.every is not None

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
        if self._whole(acquisition, rows):
            return self._all.maximize(acquisition, rows, candidates=candidates, is_new=is_new, rng=rng)
        return super().maximize(acquisition, rows, candidates=candidates, is_new=is_new, rng=rng)

    def _improved(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, values: Tensor, rng: np.random.Generator
    ) -> Ranked:
        longer = min(len(rows.encoding.place_dims), _LONGER) if self._rounds else 0
        for _ in range(self._rounds + longer):
            best = values[0]
            X, values = joined(acquisition, self._around(X[: self._tops], rows, rng), X=X, values=values)
            if values[0] <= best:
                break
        return X, values

    def _whole(self, acquisition: AcquisitionFunction, rows: Rows) -> bool:
        if not self._exhaustive or rows.every is None:
            return False
        return len(rows.every) <= _COSTLY or not getattr(acquisition, "costly", False)

    def _around(self, X: Tensor, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Return mutations of `k x d` rows, and their numbers shaken a little."""
        configs = rows.decode(X)
        count = self._neighbors + min(4 * len(rows.encoding.place_dims), _WIDER)
        mutated = [near for config in configs for near in rows.space.neighbors(config, rng, count=count)]
        free = rows.free(configs)
        shaken = []
        for scale in _SCALES if bool(free.any()) else ():
            noise = torch.from_numpy(rng.standard_normal((self._neighbors // 2, *X.shape))) * scale
            shaken.append(torch.where(free, (X + noise).clamp(0.0, 1.0), X).reshape(-1, X.shape[1]))
        return torch.cat([rows.encode(mutated), *shaken])
