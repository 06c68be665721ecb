"""The suggesters ``sequential`` and ``thompson``, which believe nothing of what is under evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...strategy import check_integer
from ..acquisitions.thompson import Thompson
from ..parts import Acquisition, Search
from .batch import CANDIDATES, Batch

if TYPE_CHECKING:
    from torch import Tensor


class Sequential:
    """One row after the other, the greedy maximization of an acquisition that knows of pending rows.

    Those of Monte Carlo (``qlogei``, ``qlognei``, ``qucb``, ``qlognehvi``, ``parego``) integrate over what is pending (Wilson,
    Hutter and Deisenroth, NeurIPS 2018); of others it takes the best rows of one and the same function, which is right
    when nothing runs beside.

    Args:
        candidates: Rows that each maximization starts from, at least 1.
    """

    def __init__(self, candidates: int = CANDIDATES) -> None:
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`."""
        batch = Batch(search, pending, candidates=self._candidates)
        return one_by_one(batch, count, search.acquisition)


class ThompsonBatch:
    """Every row the optimum of a posterior sample of its own (Kandasamy et al., AISTATS 2018), whatever the acquisition.

    Samples differ by themselves, so that pending rows need no care and a batch of any size is diverse.

    Args:
        candidates: Rows that stand for the space, at least 1.
    """

    def __init__(self, candidates: int = CANDIDATES) -> None:
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`."""
        batch = Batch(search, pending, candidates=self._candidates)
        return one_by_one(batch, count, Thompson(most=self._candidates))


def one_by_one(batch: Batch, count: int, acquisition: Acquisition) -> Tensor:
    """Return up to ``count`` rows, each the best of an acquisition built anew on the surrogate as it is."""
    for _ in range(count):
        if not len(batch.choose(batch.build(batch.search.surrogate, acquisition=acquisition))):
            break
    return batch.rows
