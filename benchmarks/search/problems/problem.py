"""What a benchmark asks of a problem. No problem itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from omniforge.search import Objective, SearchSpace


class Problem(Protocol):
    """A space and what its configurations are worth.

    Attributes:
        name: Unique, without spaces.
        space: Where to search.
        objectives: What to optimize, the first of them, and bounds (weight 0) to keep. Regret is measured in the first.
        optimum: The best value of the first objective, or None when it is not known.
        initial: Random configurations that every method evaluates first, or None when methods choose their own.
    """

    name: str
    space: SearchSpace
    objectives: Sequence[Objective]
    optimum: float | None
    initial: int | None

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the measurements of a configuration; none at all where it fails."""

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return what else is told of the configuration that was found, such as its test accuracy; not seen by methods."""
