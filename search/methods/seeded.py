"""Given configurations first, then another strategy: for defaults, and for the winners of earlier searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import SpecError
from ..candidate import Candidate, Reward
from ..space.versions import SpaceVersions
from ..strategy import SearchStrategy, check_integer, strategy

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import Config, SearchSpace

STATE_VERSION = 1


class SeededStrategy(SearchStrategy):
    """Propose ``configs`` in their order, then what ``then`` proposes.

    Args:
        configs: Configurations to begin with; those that do not belong to the space wait until a version of it has them.
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
        self._versions: SpaceVersions | None = None
        self._left: list[Config] = []  # as they were given
        self._seen: set[str] = set()
        self._proposed: dict[
            str, Config
        ] = {}  # of the given ones, until they are rewarded: the inner one must not repeat them

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`."""
        self._inner.bind_space(space, objectives, seed=seed)
        self._versions = SpaceVersions(space)
        self._left = list(self._given)
        self._seen = set()
        self._proposed = {}

    def change_space(self, space: SearchSpace) -> None:
        """Go on in another version of the space; see `SearchStrategy.change_space`."""
        self._inner.change_space(space)
        self.versions.change(space)
        self._proposed = {space.config_hash(config): config for config in self._proposed.values()}

    def generate_tasks(self, count: int, *, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Return what is left of the given configurations, then the inner strategy's."""
        check_integer(count, "count", low=0)
        space = self.versions.current
        waiting = {space.config_hash(candidate.config): candidate for candidate in pending}
        found: list[Candidate] = []
        given, self._left = self._left, []
        for position, config in enumerate(given):
            if len(found) == count:
                self._left += given[position:]
                break
            fitting = self.versions.project(config).config
            if fitting is None:
                self._left.append(config)
                continue
            key = space.config_hash(fitting)
            if not {key, space.config_hash(config)} & (self._seen | waiting.keys() | self._proposed.keys()):
                self._proposed[key] = fitting
                found.append(Candidate(fitting))
        if len(found) < count:
            taken = {key: Candidate(config) for key, config in self._proposed.items()} | waiting
            found += self._inner.generate_tasks(count - len(found), pending=list(taken.values()))
        return found

    def handle_rewards(self, rewards: Sequence[Reward]) -> None:
        """Learn; see `SearchStrategy.handle_rewards`."""
        self._inner.handle_rewards(rewards)
        for reward in rewards:
            key = self.versions.current.config_hash(reward.candidate.config)
            self._proposed.pop(key, None)
            self._seen.add(key)

    def dump(self) -> dict[str, Any]:
        """Return the state as versioned JSON."""
        return {
            "version": STATE_VERSION,
            "strategy": self.name,
            "spaces": self.versions.dump(),
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
        self.versions.load(state.get("spaces", ()))
        self._left = [dict(config) for config in state["left"]]
        self._seen = set(state["seen"])
        self._proposed = {self.versions.current.config_hash(config): dict(config) for config in state["proposed"]}

    def warm_up(self) -> None:
        """Warm up the inner strategy."""
        self._inner.warm_up()

    @property
    def inner(self) -> SearchStrategy:
        """The strategy that goes on after the given configurations."""
        return self._inner

    @property
    def versions(self) -> SpaceVersions:
        """The versions of the space that it searches.

        Raises:
            RuntimeError: `bind_space` was not called.
        """
        if self._versions is None:
            raise RuntimeError(f"The strategy {self.name!r} has no space yet: call bind_space first.")
        return self._versions
