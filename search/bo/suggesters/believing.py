"""How several rows are chosen at once, while others are under evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...errors import SpecError
from ..strategy import check_integer
from .parts import Search, Surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from ..space import Config


class Believer:
    """One row after the other, each as if those before it and the pending ones had returned a certain value.

    The surrogate is conditioned on them and keeps its hyperparameters, so that a batch costs one fit. The value is the mean
    that it predicts (the kriging believer of Ginsbourger et al. 2010) or the worst that was seen (their constant liar).

    Args:
        value: ``"mean"`` or ``"worst"``.
        candidates: Rows that each maximization starts from, at least 1.

    Raises:
        SpecError: ``value`` is another word.
    """

    def __init__(self, value: str = "mean", candidates: int = 384) -> None:
        if value not in ("mean", "worst"):
            raise SpecError(f"value is {value!r}, expected 'mean' or 'worst'.")
        self._value = value
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`."""
        candidates = search.generator.generate(search.rows, search.observed, count=self._candidates, rng=search.rng)
        surrogate = self._believing(search.surrogate, pending, search)
        chosen: list[Config] = []
        out = pending[:0]

        def is_new(config: Config) -> bool:
            return config not in chosen and search.is_new(config)

        for _ in range(count):
            waiting = torch.cat([pending, out])
            seed = int(search.rng.integers(2**31))
            acquisition = search.acquisition.build(surrogate, search.observed, pending=waiting, seed=seed)
            row = search.optimizer.maximize(
                acquisition,
                search.rows,
                candidates=candidates,
                is_new=is_new,
                rng=search.rng,
            )
            if not len(row):
                break
            chosen += search.rows.decode(row)
            out = torch.cat([out, row])
            surrogate = self._believing(surrogate, row, search)
        return out

    def _believing(self, surrogate: Surrogate, X: Tensor, search: Search) -> Surrogate:
        if not len(X):
            return surrogate
        if self._value == "worst":
            return surrogate.condition(X, search.observed.Y.min(dim=0).values.expand(len(X), -1))
        return surrogate.condition(X, surrogate.posterior(X[:, None]).mean[:, 0].detach())
