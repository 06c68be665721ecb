"""What strategies share that walk a Sobol design, at first or throughout: how far they are. Not what they learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..design import SobolDesign
from ..space import Config
from .proposing import Ask, ProposingStrategy


class DesignedStrategy(ProposingStrategy):
    """A strategy with a space-filling design of its own; a subclass with more state extends `_extra` and `_restore`."""

    def __init__(self) -> None:
        super().__init__()
        self._design: SobolDesign | None = None
        self._position = 0

    def _point(self) -> Config:
        """Return the next point of the design; a discrete space repeats points."""
        self._position += 1
        return self._design_of_space().config(self._position - 1)

    def _design_of_space(self) -> SobolDesign:
        if self._design is None:
            self._design = SobolDesign(self.history.space, seed=self._seed)
        return self._design

    def _designed(self, ask: Ask, count: int) -> Iterator[Config]:
        """Yield up to ``count`` new points of the design."""
        for _ in range(4 * count + 16):
            if not count:
                return
            config = self._point()
            if self.history.space.config_hash(config) not in ask.taken:
                count -= 1
                yield config

    def _left_to_design(self, ask: Ask, initial: int) -> int:
        """Return how much of an ask belongs to a design of ``initial`` points: all of it while fewer than two succeeded."""
        if self.history.succeeded() < 2:
            return ask.count
        return min(ask.count, max(0, initial - len(self.history) - len(ask.pending)))

    def _extra(self) -> dict[str, Any]:
        return {"position": self._position}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        self._position = int(extra.get("position", 0))
        self._design = None

    def warm_up(self) -> None:
        """Import what the design needs."""
        from scipy.stats import qmc  # noqa: F401
