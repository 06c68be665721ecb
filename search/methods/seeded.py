"""Given configurations first, then another strategy: for defaults, and for the winners of earlier searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import SpecError
from ..candidate import Candidate, Reward
from ..strategy import SearchStrategy, check_integer, strategy

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import Config, SearchSpace

STATE_VERSION = 1


class SeededStrategy(SearchStrategy):
    """Propose ``configs`` in their order, then what ``then`` proposes.

    Args:
        configs: Configurations to begin with; those that do not belong to the space are passed over.
        then: The strategy that goes on, by name or mapping; it learns from all rewards.

    Raises:
        SpecError: ``configs`` is not a list of mappings.
    """

    name: ClassVar[str] = "seeded"

    def __init__(self, configs: Sequence[Mapping[str, Any]] = (), then: str | Mapping[str, Any] = "auto") -> None:
        if not isinstance(configs, list | tuple) or not all(isinstance(config, Mapping) for config in configs):
            raise SpecError(f"configs is {configs!r}, expected a list of configurations.")
        self._given = [dict(config) for config in configs]
        self._inner = strategy(then)
        self._space: SearchSpace | None = None
        self._left: list[Config] = []
        self._seen: set[str] = set()
        self._proposed: dict[
            str, Config
        ] = {}  # of the given ones, until they are rewarded: the inner one must not repeat them

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`."""
        self._inner.bind_space(space, objectives, seed=seed)
        self._space = space
        self._left = [config for config in self._given if space.is_valid(config)]
        self._seen = set()
        self._proposed = {}

    def generate_tasks(self, count: int, *, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Return what is left of the given configurations, then the inner strategy's."""
        check_integer(count, "count", low=0)
        waiting = {self.space.config_hash(candidate.config): candidate for candidate in pending}
        found: list[Candidate] = []
        while self._left and len(found) < count:
            config = self._left.pop(0)
            key = self.space.config_hash(config)
            if key not in self._seen and key not in waiting and key not in self._proposed:
                self._proposed[key] = config
                found.append(Candidate(config))
        if len(found) < count:
            taken = {key: Candidate(config) for key, config in self._proposed.items()} | waiting
            found += self._inner.generate_tasks(count - len(found), pending=list(taken.values()))
        return found

    def handle_rewards(self, rewards: Sequence[Reward]) -> None:
        """Learn; see `SearchStrategy.handle_rewards`."""
        self._inner.handle_rewards(rewards)
        for reward in rewards:
            key = self.space.config_hash(reward.candidate.config)
            self._proposed.pop(key, None)
            self._seen.add(key)

    def dump(self) -> dict[str, Any]:
        """Return the state as versioned JSON."""
        return {
            "version": STATE_VERSION,
            "strategy": self.name,
            "left": self._left,
            "seen": sorted(self._seen),
            "proposed": list(self._proposed.values()),
            "inner": self._inner.dump(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on where `dump` was called; see `SearchStrategy.load`."""
        for field, expected in (("version", STATE_VERSION), ("strategy", self.name)):
            if state.get(field) != expected:
                problem = f"The state's {field} is {state.get(field)!r}, expected {expected!r}."
                raise SpecError(
                    problem, hint="Load it into the strategy, space and objectives that it was dumped from."
                )
        self._inner.load(state["inner"])
        self._left = [dict(config) for config in state["left"]]
        self._seen = set(state["seen"])
        self._proposed = {self.space.config_hash(config): dict(config) for config in state["proposed"]}

    def warm_up(self) -> None:
        """Warm up the inner strategy."""
        self._inner.warm_up()

    @property
    def space(self) -> SearchSpace:
        """Where it searches.

        Raises:
            RuntimeError: `bind_space` was not called.
        """
        if self._space is None:
            raise RuntimeError(f"The strategy {self.name!r} has no space yet: call bind_space first.")
        return self._space
