"""Quasi-random search: the points of one scrambled Sobol sequence, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..design import SobolDesign
from ..space import Config
from .proposing import Ask, ProposingStrategy


class SobolStrategy(ProposingStrategy):
    """Fill the space evenly and learn nothing; see `SobolDesign`."""

    name: ClassVar[str] = "sobol"

    def __init__(self) -> None:
        super().__init__()
        self._design: SobolDesign | None = None
        self._position = 0

    def _propose(self, ask: Ask) -> Iterator[Config]:
        if self._design is None:
            self._design = SobolDesign(self.history.space, seed=self._seed)
        # a discrete space repeats points: go on a while, then leave the rest to uniform draws
        for _ in range(4 * ask.count + 16):
            self._position += 1
            yield self._design.config(self._position - 1)

    def _extra(self) -> dict[str, Any]:
        return {"position": self._position}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        self._position = int(extra.get("position", 0))
        self._design = None

    def warm_up(self) -> None:
        """Import scipy's generator."""
        from scipy.stats import qmc  # noqa: F401
