"""What is known of each configuration by fidelity: its learning curve so far, and what of it is being evaluated.

Not what is concluded from it. The rewards themselves are in the `History`; this is a view of them, made anew for every ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..space import Config

if TYPE_CHECKING:
    from ..history import History
    from ..pareto import FloatArray
    from .levels import Levels


@dataclass
class Curve:
    """One configuration.

    Args:
        config: The configuration.
        results: Fidelity to the position of its latest observation in the history.
        waiting: The fidelities under evaluation.
        failed: Whether it failed or timed out at any fidelity; then it is not tried at a higher one.
    """

    config: Config
    results: dict[float, int] = field(default_factory=dict)
    waiting: set[float] = field(default_factory=set)
    failed: bool = False

    @property
    def reached(self) -> float:
        """The highest fidelity with a result, 0 without one."""
        return max(self.results, default=0.0)

    @property
    def claimed(self) -> float:
        """The highest fidelity with a result or under evaluation."""
        return max(max(self.waiting, default=0.0), self.reached)

    @property
    def began(self) -> float:
        """The lowest fidelity with a result or under evaluation."""
        return min([*self.results, *self.waiting])


class Curves:
    """The curves of one search, in the order in which configurations were first observed, then proposed.

    Args:
        history: The rewards.
        levels: The fidelities of the search.
        waiting: Configurations with the fidelities at which they are being evaluated.
    """

    def __init__(self, history: History, levels: Levels, waiting: Iterable[tuple[Config, float]] = ()) -> None:
        self.history = history
        self.levels = levels
        self._curves: dict[str, Curve] = {}
        for position, observation in enumerate(history.observations):
            curve = self._curves.setdefault(observation.key, Curve(observation.config))
            curve.results[levels.value(observation.fidelity)] = position
            curve.failed = curve.failed or observation.state != "succeeded"
        for config, value in waiting:
            self.wait(config, value)

    def __iter__(self) -> Iterator[Curve]:
        return iter(self._curves.values())

    def __len__(self) -> int:
        return len(self._curves)

    @cached_property
    def Y(self) -> FloatArray:  # noqa: N802 - targets are Y everywhere
        """The observations as values to maximize, a `n x m` array; NaN rows failed."""
        return self.history.targets()

    def has(self, config: Config) -> bool:
        """Say whether a configuration was ever evaluated or waited for."""
        return self.history.space.config_hash(config) in self._curves

    def wait(self, config: Config, value: float) -> None:
        """Note that a configuration is being evaluated at a fidelity, unless it was."""
        curve = self._curves.setdefault(self.history.space.config_hash(config), Curve(config))
        if value not in curve.results:
            curve.waiting.add(value)

    def unfinished(self) -> list[Curve]:
        """Return the curves that can be continued now: not failed, not at the full fidelity, not under evaluation."""
        full = self.levels.full
        return [c for c in self if c.results and not c.failed and not c.waiting and c.reached < full]
