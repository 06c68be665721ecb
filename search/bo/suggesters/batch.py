"""What all suggesters share: the rows of one batch, chosen one after the other. Not what they are believed to return."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..parts import Acquisition, AcquisitionFunction, Search, Surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from ...space import Config

CANDIDATES = 384


@dataclass(frozen=True)
class Declining:
    """A function that is nowhere larger than the one before it in a batch.

    Args:
        function: What it computes.
    """

    function: AcquisitionFunction
    declining = True

    def __call__(self, X: Tensor) -> Tensor:
        """Return the function of a `(b) x q x d`-dim Tensor."""
        return self.function(X)


class Batch:
    """The rows of one call, all different.

    Args:
        search: What the ask works with.
        pending: A `p x d`-dim Tensor of rows under evaluation.
        candidates: How many rows each maximization starts from, and sampled acquisitions take for the space.

    Attributes:
        search: The same with the candidates in `Observed`.
        candidates: A `N x d`-dim Tensor.
        rows: What was chosen so far, a `q x d`-dim Tensor.
    """

    def __init__(self, search: Search, pending: Tensor, *, candidates: int) -> None:
        self.candidates = _candidates(search, candidates)
        self.search = replace(search, observed=replace(search.observed, candidates=self.candidates))
        self.rows = pending[:0]
        self._pending = pending
        self._configs: list[Config] = []

    @property
    def waiting(self) -> Tensor:
        """The rows under evaluation and those chosen so far, a `(p + q) x d`-dim Tensor."""
        return torch.cat([self._pending, self.rows])

    def is_new(self, config: Config) -> bool:
        """Say whether a configuration may be chosen next."""
        return config not in self._configs and self.search.is_new(config)

    def seed(self) -> int:
        """Draw the seed of a sampled acquisition."""
        return int(self.search.rng.integers(2**31))

    def build(
        self, surrogate: Surrogate, *, acquisition: Acquisition | None = None, seed: int | None = None
    ) -> AcquisitionFunction:
        """Return the function to maximize next."""
        chosen = self.search.acquisition if acquisition is None else acquisition
        seed = self.seed() if seed is None else seed
        return chosen.build(surrogate, self.search.observed, pending=self.waiting, seed=seed)

    def choose(self, function: AcquisitionFunction) -> Tensor:
        """Add the best new row of a function, and return it: `1 x d`-dim, `0 x d` when nothing is new."""
        search = self.search
        row = search.optimizer.maximize(
            function, search.rows, candidates=self.candidates, is_new=self.is_new, rng=search.rng
        )
        self._configs += search.rows.decode(row)
        self.rows = torch.cat([self.rows, row])
        return row


def _candidates(search: Search, count: int) -> Tensor:
    """Return where maximizations start: from the generator, or some of all rows where the optimizer looks at all."""
    lists = getattr(search.optimizer, "lists", None)
    every = search.rows.every if lists is not None and lists(search.rows) else None
    if every is None:
        return search.generator.generate(search.rows, search.observed, count=count, rng=search.rng)
    return every[torch.from_numpy(search.rng.permutation(len(every))[:count])]
