"""The suggester ``fantasies``: an acquisition averaged over what may become of the rows under evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...strategy import check_integer
from ..acquisitions.belief import draw
from ..acquisitions.weighted import averaged
from ..parts import AcquisitionFunction, Search
from .batch import CANDIDATES, Batch

if TYPE_CHECKING:
    from torch import Tensor


class Fantasies:
    """One row after the other, each by the mean of the acquisition over sampled outcomes of those before (Snoek et al. 2012).

    Outcomes are joint posterior samples of all waiting rows (section 3.2 of that paper); the acquisition is built on a
    surrogate conditioned on each, with the hyperparameters of one fit. Of an acquisition that is a log, the mean is that of
    what it is the log of.

    Args:
        samples: Outcomes, at least 1.
        candidates: Rows that each maximization starts from, at least 1.
    """

    def __init__(self, samples: int = 8, candidates: int = CANDIDATES) -> None:
        self._samples = check_integer(samples, "samples", low=1)
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`."""
        batch = Batch(search, pending, candidates=self._candidates)
        for _ in range(count):
            if not len(batch.choose(self._function(batch))):
                break
        return batch.rows

    def _function(self, batch: Batch) -> AcquisitionFunction:
        """Return the acquisition, averaged over the outcomes of what waits."""
        search = batch.search
        if not len(batch.waiting):
            return batch.build(search.surrogate)
        outcomes = draw(search.surrogate, batch.waiting, count=self._samples, seed=batch.seed())
        seed = batch.seed()
        functions = [batch.build(search.surrogate.condition(batch.waiting, Y), seed=seed) for Y in outcomes]
        return averaged(functions, logarithmic=getattr(search.acquisition, "logarithmic", False))
