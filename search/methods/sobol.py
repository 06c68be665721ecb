"""Quasi-random search: the points of one scrambled Sobol sequence, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..space import Config
from .designed import DesignedStrategy
from .proposing import Ask


class SobolStrategy(DesignedStrategy):
    """Fill the space evenly and learn nothing; see `design.SobolDesign`."""

    name: ClassVar[str] = "sobol"

    def _propose(self, ask: Ask) -> Iterator[Config]:
        # a discrete space repeats points: go on a while, then leave the rest to uniform draws
        for _ in range(4 * ask.count + 16):
            yield self._point()
