"""What multi-fidelity strategies share: new configurations and continued ones as candidates, duplicates and state.

Which configuration is continued, and how far, is what a `Planner` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from ..candidate import Candidate, Reward
from ..methods.proposing import Ask, ProposingStrategy
from ..space import Config
from ..strategy import check_integer
from .curves import Curves

if TYPE_CHECKING:
    from ..bo.rows import IsNew
    from ..objective import Objective
    from ..space import SearchSpace
    from .levels import Levels


@dataclass(frozen=True)
class Step:
    """What is to be evaluated next.

    Args:
        level: The position of the level.
        config: The configuration; None for any new one.
    """

    level: int
    config: Config | None = None


@dataclass(frozen=True)
class Situation:
    """What a planner decides upon.

    Args:
        curves: All that is known and waited for.
        is_new: Whether a configuration was neither evaluated nor proposed.
        rng: The randomness of this call.
        exhausted: Whether no new configuration is left, so that only continuing makes sense.
    """

    curves: Curves
    is_new: IsNew
    rng: np.random.Generator
    exhausted: bool


class Planner(Protocol):
    """Decides what a multi-fidelity search evaluates next."""

    @property
    def name(self) -> str:
        """Of the planner with its options; a state is loaded by the same one only."""

    def next(self, situation: Situation) -> Step | None:
        """Return the next step; None when there is nothing to continue and nothing new is left."""

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Refuse what it cannot search.

        Args:
            space: Where to search.
            objectives: What to optimize.

        Raises:
            SpecError: The objectives are too many or of another kind, or the space is.
        """

    def dump(self) -> dict[str, Any]:
        """Return what the curves do not say, as JSON."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned; `{}` for a new search."""

    def warm_up(self) -> None:
        """Import what `next` will need."""


class StagedStrategy(ProposingStrategy):
    """Try configurations at a low fidelity and continue some of them at higher ones.

    A candidate is a configuration at a fidelity: the same configuration comes again at a higher fidelity, never at the same.
    A reward without a fidelity is one at the full fidelity. What failed or timed out is not continued.

    Args:
        planner: Decides what comes next.
        levels: The fidelities.
    """

    name: ClassVar[str] = "staged"

    def __init__(self, planner: Planner, levels: Levels) -> None:
        super().__init__()
        self._planner = planner
        self.levels = levels
        self._waiting: dict[tuple[str, float], Config] = {}

    # ----------------------------------------------------------------------------------------------- the contract

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`."""
        super().bind_space(space, objectives, seed=seed)
        self._planner.check(space, self.history.objectives)

    def change_space(self, space: SearchSpace) -> None:
        """Go on in another version of the space; see `SearchStrategy.change_space`."""
        self._planner.check(space, self.history.objectives)
        super().change_space(space)

    def generate_tasks(self, count: int, *, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Propose candidates, no two the same configuration at the same fidelity; see `SearchStrategy.generate_tasks`."""
        history = self.history
        rng = np.random.default_rng([self._seed, self._asks])
        ask = Ask(check_integer(count, "count", low=0), (), history.taken(pending), rng)
        if not count:
            return []
        self._asks += 1
        curves = self._curves(pending)
        out: list[Candidate] = []
        exhausted = False
        while len(out) < count:
            step = self._planner.next(Situation(curves, lambda config: self._is_new(config, ask), rng, exhausted))
            config = None if step is None else self._settle(step, curves, ask)
            if step is None or config is None:
                if exhausted:
                    break
                exhausted = True
                continue
            value = self.levels.values[step.level]
            curves.wait(config, value)
            self._waiting[history.space.config_hash(config), value] = config
            out.append(Candidate(config, self.levels.fidelity(step.level)))
        return out

    def handle_rewards(self, rewards: Sequence[Reward]) -> None:
        """Learn what came of candidates; see `SearchStrategy.handle_rewards`."""
        values = [self.levels.value(reward.candidate.fidelity) for reward in rewards]
        self.history.observe(rewards)
        for reward, value in zip(rewards, values, strict=True):
            self._waiting.pop((self.history.space.config_hash(reward.candidate.config), value), None)

    def warm_up(self) -> None:
        """Import what the planner needs."""
        self._planner.warm_up()

    # ------------------------------------------------------------------------------------------------- the inside

    def _curves(self, pending: Sequence[Candidate]) -> Curves:
        """Return what is known, with what was proposed and what is pending as the newest version of the space has it."""
        waiting = [*self._waiting.items()]
        found = [(Candidate(config), value) for (_, value), config in waiting]
        found += [(candidate, self.levels.value(candidate.fidelity)) for candidate in pending]
        return Curves(
            self.history,
            self.levels,
            [(config, value) for candidate, value in found for config in self.history.waiting([candidate])],
        )

    def _propose(self, ask: Ask) -> Iterator[Config]:
        """Yield draws from the space's priors: new configurations when the planner leaves the choice open."""
        return self._draws(ask.count, ask.rng)

    def _is_new(self, config: Config, ask: Ask) -> bool:
        return self.history.space.config_hash(config) not in ask.taken

    def _settle(self, step: Step, curves: Curves, ask: Ask) -> Config | None:
        """Return the configuration of a step; None when a new one is wanted and none is left."""
        if step.config is not None and curves.has(step.config):
            return step.config
        wanted = [] if step.config is None else [step.config]
        found = self._accept(wanted, ask, 1) or self._refill(ask, 1)
        return found[0] if found else None

    def _options(self) -> dict[str, Any]:
        return {"planner": self._planner.name, "levels": [self.levels.name, *self.levels.values]}

    def _extra(self) -> dict[str, Any]:
        waiting = [{"config": config, "value": value} for (_, value), config in self._waiting.items()]
        return {"waiting": waiting, "state": self._planner.dump()}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        space = self.history.space
        rows = extra.get("waiting", ())
        self._planner.load(extra.get("state", {}))
        self._waiting = {(space.config_hash(row["config"]), row["value"]): dict(row["config"]) for row in rows}
