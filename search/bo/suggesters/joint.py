"""The suggester ``joint``: all rows of a batch at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ....errors import SpecError
from ...strategy import check_integer
from ..optimizers.settling import ascend
from ..parts import AcquisitionFunction, Search
from .batch import CANDIDATES
from .believing import Believer

if TYPE_CHECKING:
    from torch import Tensor


class Joint:
    """What a batch is worth as a whole, by an acquisition of several rows (Wang et al. 2020; BoTorch's default).

    It begins at the batch of a `Believer`, moves the numbers of all its rows together by L-BFGS, and keeps what is better
    once rounded. Choices and activity stay those of the beginning. One row alone is the believer's. Pending rows that the
    surrogate does not know are integrated over.

    Args:
        steps: Iterations of L-BFGS, at least 1.
        candidates: Rows that each maximization starts from, at least 1.
    """

    def __init__(self, steps: int = 20, candidates: int = CANDIDATES) -> None:
        self._steps = check_integer(steps, "steps", low=1)
        self._believer = Believer(candidates=candidates)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`.

        Raises:
            SpecError: The acquisition has no form for several rows.
        """
        several = getattr(search.acquisition, "joint", None)
        if several is None:
            problem = "The suggester 'joint' needs an acquisition of several rows."
            raise SpecError(problem, hint="Choose 'logei', 'qlognei', 'ucb', 'ehvi' or 'parego', or another suggester.")
        begin = self._believer.suggest(count, pending, search=search)
        if len(begin) < 2:
            return begin
        seed = int(search.rng.integers(2**31))
        function: AcquisitionFunction = several().build(search.surrogate, search.observed, pending=pending, seed=seed)
        free = search.rows.free(search.rows.decode(begin))
        if not bool(free.any()):
            return begin
        moved = ascend(lambda X: function(X[None]).sum(), begin, free=free, steps=self._steps)
        return self._better(function, begin, moved, search)

    @staticmethod
    def _better(function: AcquisitionFunction, begin: Tensor, moved: Tensor, search: Search) -> Tensor:
        """Return the moved rows where they stand for different new configurations that are worth more."""
        configs = search.rows.decode(moved)
        settled = search.rows.encode(configs)
        keys = {search.rows.space.config_hash(config) for config in configs}
        if len(keys) < len(configs) or not all(search.is_new(config) for config in configs):
            return begin
        with torch.no_grad():
            gained = bool(function(settled[None]) > function(begin[None]))
        return settled if gained else begin
