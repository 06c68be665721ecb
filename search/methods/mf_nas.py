"""MF-NAS: architecture search as a max-flow problem (Xue, Wang, Yan and Li, ECCV 2022; named in section 3.4.2 of OmniForce).

What is the paper's: the search space is a graph with parallel edges, one per operation, that have capacities; capacities are
updated from rewards while the search runs; and the flow of an architecture stands for its accuracy. What is ours, since only
its outline was at hand: how capacities are fitted (``max_flow.py``) and how uncertain they are taken to be (below).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..pareto import fitness_order
from ..space import Config
from ..strategy import check_integer, check_number
from .designed import DesignedStrategy
from .proposing import Ask

if TYPE_CHECKING:
    from .max_flow import Network

_PARENTS = 4
_NEIGHBORS = 8
_ROUNDS = 3


class MaxFlowStrategy(DesignedStrategy):
    """Propose the configuration with the largest flow under capacities that are drawn anew for every candidate.

    Observations are ranked (by violation of the bounds, front and crowding where there are several objectives), and a
    configuration's worth is its rank, 1 for the best and 0 for the worst and for failures. Capacities are fitted to the worths
    under random weights (Rubin's Bayesian bootstrap, 1981), which is Thompson sampling: links that few observations went
    through differ from draw to draw, and so are explored. The flow is maximized by local search from the best observations and
    from random draws. It is made for `cell` parameters; others are links of their own, whose flows add up.

    Args:
        initial: Configurations of a Sobol design before flows are used, at least 2.
        explore: How likely a candidate is drawn at random instead, from 0 to 1.

    Raises:
        SpecError: An option is out of range.
    """

    name: ClassVar[str] = "mf-nas"

    def __init__(self, initial: int = 12, explore: float = 0.05) -> None:
        super().__init__()
        self._initial = check_integer(initial, "initial", low=2)
        self._explore = check_number(explore, "explore", low=0.0, high=1.0)
        self._network: Network | None = None

    def _propose(self, ask: Ask) -> Iterator[Config]:
        designed = self._left_to_design(ask, self._initial)
        yield from self._designed(ask, designed)
        order = fitness_order(self.history.targets(), self.history.objectives)
        for _ in range(ask.count - designed):
            if ask.rng.random() >= self._explore and (config := self._drawn(ask, order)) is not None:
                yield config

    def _drawn(self, ask: Ask, order: list[int]) -> Config | None:
        """Return the new configuration with the largest flow found under one draw of the capacities."""
        from .max_flow import Network

        history, rng = self.history, ask.rng
        if self._network is None:
            self._network = Network(history.space)
        network = self._network
        worth = np.zeros(len(order))
        worth[order] = np.linspace(1.0, 0.0, len(order))
        worth[np.isnan(history.targets()).any(axis=1)] = 0.0
        capacity = network.fit(network.links(history.configs), worth, weights=rng.exponential(size=len(order)) + 1e-9)
        pool: dict[str, Config] = {}
        starts = [history.configs[i] for i in order[:_PARENTS]] + history.space.sample_many(_PARENTS, rng)
        for _ in range(_ROUNDS):
            for start in starts:
                for config in (start, *history.space.neighbors(start, rng, count=_NEIGHBORS)):
                    pool.setdefault(history.space.config_hash(config), config)
            keys, flows = list(pool), network.flow(capacity, network.links(list(pool.values())))[0]
            # what only moves a link that is not saturated has the same flow: equals come in a random order
            ranked = [keys[i] for i in np.lexsort((rng.random(len(keys)), -flows))]
            if ranked[0] in {history.space.config_hash(start) for start in starts[:1]}:
                break
            starts = [pool[key] for key in ranked[: _PARENTS // 2]]
        return next((pool[key] for key in ranked if key not in ask.taken), None)

    def _restore(self, extra: Mapping[str, Any]) -> None:
        super()._restore(extra)
        self._network = None
