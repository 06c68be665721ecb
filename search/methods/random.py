"""Random search (Bergstra and Bengio, JMLR 2012): every configuration drawn from the space's priors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..space import Config
from .proposing import Ask, ProposingStrategy


class RandomStrategy(ProposingStrategy):
    """Draw from the priors, uniformly without them, and learn nothing."""

    name: ClassVar[str] = "random"

    def _propose(self, ask: Ask) -> Iterator[Config]:
        return self._draws(2 * ask.count, ask.rng)
