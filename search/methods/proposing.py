"""What all strategies of this package share: seeds, history, duplicates, exhaustion and state. Not what is proposed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...errors import SpaceError, SpecError
from ..candidate import Candidate, Reward
from ..history import History
from ..objective import Objective, check_objectives
from ..space import Config, SearchSpace
from ..space.listing import LISTED
from ..strategy import SearchStrategy, check_integer

STATE_VERSION = 1
_DRAWS = 200


@dataclass(frozen=True)
class Ask:
    """One call of `generate_tasks`.

    Args:
        count: How many configurations are wanted.
        pending: What is being evaluated, in the newest version of the space.
        taken: The hashes of what is not to be proposed; grows while proposals are accepted.
        rng: The randomness of this call.
    """

    count: int
    pending: tuple[Config, ...]
    taken: set[str]
    rng: np.random.Generator


class ProposingStrategy(SearchStrategy):
    """A strategy that only has to say what to try next.

    A subclass implements `_propose`, and `_extra` and `_restore` when it has more state than the history; `_space_changed`
    when some of that state is of a space that is no more. The randomness of
    a call depends on the seed and on the number of earlier calls, so that nothing of a generator is kept.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._history: History | None = None
        self._seed = 0
        self._asks = 0
        self._all: list[Config] | None = None

    @abstractmethod
    def _propose(self, ask: Ask) -> Iterable[Config]:
        """Yield configurations, the most wanted first; taken and repeated ones are skipped, a short list is filled up."""

    def _options(self) -> dict[str, Any]:
        """Return what else tells this strategy from others of its name, as JSON; a state goes to the same one only."""
        return {}

    def _extra(self) -> dict[str, Any]:
        """Return what `_restore` needs, as JSON."""
        return {}

    def _restore(self, extra: Mapping[str, Any]) -> None:
        """Take back what `_extra` returned; `{}` for a new search."""

    def _space_changed(self) -> None:
        """Forget what was of the space before; the history is of the new version. By default what `_restore` rebuilds."""
        self._restore(self._extra())

    # ----------------------------------------------------------------------------------------------- the contract

    def bind_space(self, space: SearchSpace, objectives: Sequence[Objective], *, seed: int) -> None:
        """Start a search; see `SearchStrategy.bind_space`."""
        given: Any = space
        if not isinstance(given, SearchSpace):
            hint = "Read it by SearchSpace.from_yaml or SearchSpace.from_dict."
            raise SpecError(f"The space is of type {type(given).__name__}, expected a SearchSpace.", hint=hint)
        self._history = History(space, check_objectives(objectives))
        self._seed = check_integer(seed, "seed", low=0)
        self._asks = 0
        self._all = None
        _check_drawable(space)
        self._restore({})

    def change_space(self, space: SearchSpace) -> None:
        """Go on in another version of the space; see `SearchStrategy.change_space`."""
        _check_drawable(space)
        self.history.change_space(space)
        self._all = None
        self._space_changed()

    def generate_tasks(self, count: int, *, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Propose candidates; see `SearchStrategy.generate_tasks`."""
        history = self.history
        rng = np.random.default_rng([self._seed, self._asks])
        count = check_integer(count, "count", low=0)
        ask = Ask(count, history.waiting(pending), history.taken(pending), rng)
        if not count:
            return []
        self._asks += 1
        out = self._accept(self._propose(ask), ask, count)
        out += self._refill(ask, count - len(out))
        return [Candidate(config) for config in out]

    def handle_rewards(self, rewards: Sequence[Reward]) -> None:
        """Learn what came of candidates; see `SearchStrategy.handle_rewards`."""
        self.history.observe(rewards)

    def dump(self) -> dict[str, Any]:
        """Return all that was learned as versioned JSON."""
        history = self.history
        return {
            "version": STATE_VERSION,
            "strategy": self.name,
            "options": self._options(),
            "space": history.space.hash,
            "objectives": [objective.to_dict() for objective in history.objectives],
            "seed": self._seed,
            "asks": self._asks,
            "history": history.dump(),
            "extra": self._extra(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `dump` was called; see `SearchStrategy.load`."""
        history = self.history
        given: Any = state
        if not isinstance(given, Mapping):
            raise SpecError(f"The state is of type {type(given).__name__}, expected what dump returned.")
        expected = {
            "version": STATE_VERSION,
            "strategy": self.name,
            "options": self._options(),
            "space": history.space.hash,
            "objectives": [objective.to_dict() for objective in history.objectives],
        }
        for field, value in expected.items():
            if state.get(field) != value:
                problem = f"The state's {field} is {state.get(field)!r}, expected {value!r}."
                raise SpecError(
                    problem, hint="Load it into the strategy, space and objectives that it was dumped from."
                )
        self._seed, self._asks = int(state["seed"]), int(state["asks"])
        history.load(state["history"])
        self._restore(state["extra"])

    # ------------------------------------------------------------------------------------------------- the inside

    @property
    def history(self) -> History:
        """What was seen so far.

        Raises:
            RuntimeError: `bind_space` was not called.
        """
        if self._history is None:
            raise RuntimeError(f"The strategy {self.name!r} has no space yet: call bind_space first.")
        return self._history

    def _accept(self, configs: Iterable[Config], ask: Ask, count: int) -> list[Config]:
        """Return the first ``count`` configurations that are not taken, and take them."""
        out: list[Config] = []
        if count <= 0:
            return out
        for config in configs:
            key = self.history.space.config_hash(config)
            if key not in ask.taken:
                ask.taken.add(key)
                self.history.propose(key, config)
                out.append(config)
                if len(out) == count:
                    break
        return out

    def _refill(self, ask: Ask, count: int) -> list[Config]:
        """Return up to ``count`` more: draws from the priors, then whatever is left of a space that is small enough to list."""
        out = self._accept(self._draws(_DRAWS * count, ask.rng), ask, count)
        if len(out) < count and self.history.space.size() <= LISTED:
            out += self._accept(self._shuffled(ask.rng), ask, count - len(out))
        return out

    def _draws(self, count: int, rng: np.random.Generator) -> Iterator[Config]:
        """Yield draws from the priors; fewer where the rules leave so little that drawing finds nothing."""
        for _ in range(count):
            try:
                yield self.history.space.sample(rng)
            except SpaceError:
                return

    def _shuffled(self, rng: np.random.Generator) -> Iterable[Config]:
        """Return all configurations of a small finite space in a random order."""
        if self._all is None:
            self._all = list(self.history.space.configurations())
        return (self._all[i] for i in rng.permutation(len(self._all)))


def _check_drawable(space: SearchSpace) -> None:
    """Refuse a space that nothing can be drawn from, before anything is evaluated.

    Raises:
        SpaceError: Its rules leave no probability, or nothing was found that they allow.
    """
    if space.rules:
        space.sample(np.random.default_rng(0))
