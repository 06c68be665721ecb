"""The tree-structured Parzen estimator: what good configurations have in common and bad ones do not (Bergstra et al. 2011).

A baseline that costs a few milliseconds per candidate and needs no fit; the densities are in ``parzen.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..pareto import fitness_order
from ..space import Config
from ..strategy import check_integer, check_number
from .designed import DesignedStrategy
from .proposing import Ask

if TYPE_CHECKING:
    from .parzen import Columns, Parzen

_LEAST_GOOD = 2


class TPEStrategy(DesignedStrategy):
    """Draw candidates from the density of the good observations and take the one where good over bad is largest.

    The densities are joint over all parameters ("multivariate", Falkner et al., ICML 2018; Watanabe 2023), and trees of
    conditions need no grouping: each component is a distribution over the whole tree. Good is the best share of what was
    observed, ordered by violation of the bounds, then by front and crowding (Ozaki et al., JAIR 2022, without their hypervolume
    weights); failed candidates are bad, and so are pending ones (the constant liar of Ginsbourger et al. 2010), which keeps
    batches apart. An ask costs a time linear in the number of observations.

    Args:
        initial: Configurations of a Sobol design before the densities are used, at least 2.
        gamma: The share of the observations that is good, in (0, 1); Watanabe (2023) recommends 0.15.
        candidates: How many are drawn from the good density per proposal, at least 1.

    Raises:
        SpecError: An option is out of range.
    """

    name: ClassVar[str] = "tpe"

    def __init__(self, initial: int = 10, gamma: float = 0.15, candidates: int = 24) -> None:
        super().__init__()
        self._initial = check_integer(initial, "initial", low=2)
        self._gamma = check_number(gamma, "gamma", low=1e-6, high=1.0 - 1e-6)
        self._candidates = check_integer(candidates, "candidates", low=1)
        self._columns: Columns | None = None

    def _propose(self, ask: Ask) -> Iterator[Config]:
        designed = self._left_to_design(ask, self._initial)
        yield from self._designed(ask, designed)
        if designed < ask.count:
            yield from self._modelled(ask, ask.count - designed)

    def _modelled(self, ask: Ask, count: int) -> Iterator[Config]:
        """Yield the best new candidate, ``count`` times; each counts as bad for those after it."""
        from .parzen import Columns

        history = self.history
        if self._columns is None:
            self._columns = Columns(history.space)
        columns = self._columns
        X = columns.encode(history.configs)
        order = fitness_order(history.targets(), history.objectives)
        count_good = min(max(_LEAST_GOOD, math.ceil(self._gamma * len(X))), len(X) - 1)
        good, bad = X[sorted(order[:count_good])], X[sorted(order[count_good:])]
        waiting = columns.encode([config for config in ask.pending if history.space.is_valid(config)])
        better = _density(columns, good)
        for _ in range(count):
            worse = _density(columns, np.vstack([bad, waiting]))
            config = self._best(ask, better, worse)
            if config is None:
                return
            waiting = np.vstack([waiting, columns.encode([config])])
            yield config

    def _best(self, ask: Ask, better: Parzen, worse: Parzen) -> Config | None:
        """Return the new candidate that is likeliest to be good, or None when none is new."""
        space = self.history.space
        drawn = {space.config_hash(config): config for config in better.draw(self._candidates, ask.rng)}
        new = [config for key, config in drawn.items() if key not in ask.taken]
        for parent in list(drawn.values())[:4] if not new else ():
            new += [c for c in space.neighbors(parent, ask.rng, count=6) if space.config_hash(c) not in ask.taken]
        if not new or self._columns is None:
            return None
        Z = self._columns.encode(new)
        return new[int(np.argmax(better.log_density(Z) - worse.log_density(Z)))]

    def _restore(self, extra: Mapping[str, Any]) -> None:
        super()._restore(extra)
        self._columns = None

    def warm_up(self) -> None:
        """Import what the design and the kernels need."""
        super().warm_up()
        from scipy.special import ndtr  # noqa: F401


def _density(columns: Columns, X: Any) -> Parzen:
    from .parzen import Parzen

    return Parzen(columns, X, weights=np.ones(len(X)))
