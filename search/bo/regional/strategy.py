"""The strategy ``of-hd``: Bayesian optimization within a trust region, for many dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from ...design import width
from ...methods.proposing import Ask
from ...space import Config
from ..composition import Choice
from ..strategy import BayesianStrategy
from .region import Region, patience, replay

LOCAL: Choice = {"auto": {"patience": None}}
"""The acquisition in a region: nothing looks away from it, since a new region begins when one is used up."""


class RegionStrategy(BayesianStrategy):
    """Search a trust region around the best observation that grows, shrinks and starts again elsewhere.

    A region starts with a part of the Sobol design, whose points lie anywhere; from then on candidates come from the
    region, while the surrogate learns from everything. See `region` for how it moves.

    Args:
        initial: Configurations of a region before its model is used, at least 2; by default as `BayesianStrategy`.
        surrogate: What models the targets.
        acquisition: What is worth evaluating.
        suggester: How a batch is chosen.
        max_observations: The most that the model learns from, at least 10.
        budget: How many evaluations are planned in all, for parts that follow a schedule.

    Raises:
        UnknownNameError: A part has another name.
        SpecError: An option is out of range.
    """

    name: ClassVar[str] = "of-hd"
    _regional: ClassVar[bool] = True
    _sound: ClassVar[Mapping[str, Choice]] = {"acquisition": LOCAL}

    def __init__(
        self,
        *,
        initial: int | None = None,
        surrogate: Choice = "gp",
        acquisition: Choice = LOCAL,
        suggester: Choice = "believer",
        max_observations: int = 256,
        budget: int | None = None,
    ) -> None:
        super().__init__(
            initial=initial,
            surrogate=surrogate,
            acquisition=acquisition,
            optimizer="region",
            generator="region",
            suggester=suggester,
            max_observations=max_observations,
            budget=budget,
        )

    def region(self) -> Region:
        """Return where the search is: the trust region after all observations."""
        history = self.history
        tolerance = patience(width(history.space))
        return replay(history.targets(), history.objectives, initial=self._initial(), tolerance=tolerance)

    def _propose(self, ask: Ask) -> Iterator[Config]:
        region, Y = self.region(), self.history.targets()
        known = len(Y) - region.start + len(ask.pending)
        designed = min(ask.count, max(0, self._initial() - known))
        if np.isfinite(Y[region.start :]).all(axis=1).sum() < 2:
            designed = ask.count
        yield from self._designed(ask, designed)
        center = region.center(Y, self.history.objectives)
        if designed < ask.count and center is not None:
            place = {"center": self.history.configs[center], "length": region.length}
            self._choices |= {"generator": {"region": place}, "optimizer": {"region": place}}
            yield from self._modelled(ask, ask.count - designed)
