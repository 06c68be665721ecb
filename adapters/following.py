"""A strategy that follows a search which another tool drives: what happened comes in as values. Not a strategy itself.

The other tool's record of trials is the only state. Whoever holds it (after a restart, or a second process on the same
storage) can ask; what was already learned is kept in memory only to save time.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..search.candidate import Candidate, Reward
from ..search.strategy import SearchStrategy, strategy

if TYPE_CHECKING:
    from ..search.objective import Objective
    from ..search.space import Config, SearchSpace

Choice = str | Mapping[str, Any]


class Follower:
    """A strategy and what it was told, for one search of another tool.

    The strategy starts anew, and is told everything again, when the space or the objectives change and in a forked process:
    two processes with one state would propose the same.

    Args:
        choice: The strategy, see `strategy`.
        seed: At least 0.

    Raises:
        UnknownNameError: No strategy has that name.
        SpecError: An option is unknown or out of range.
    """

    def __init__(self, choice: Choice, *, seed: int) -> None:
        self._choice = choice
        self._seed = seed
        self._strategy: SearchStrategy = strategy(choice)
        self._bound: tuple[object, ...] | None = None
        self._space: SearchSpace | None = None
        self._known: set[Hashable] = set()

    def bind(self, space: SearchSpace, objectives: Sequence[Objective], *, turn: int) -> None:
        """Search ``space`` from now on; nothing happens when that is what is searched already.

        Args:
            space: Where to search.
            objectives: What to optimize.
            turn: A number that no other process which asks for the same search has, such as that of the trial: with the
                seed it decides all randomness.

        Raises:
            SpecError: The strategy cannot use the objectives.
        """
        key = (space.hash, tuple(objectives), os.getpid())
        if key == self._bound:
            return
        self._strategy = strategy(self._choice)
        self._strategy.bind_space(space, objectives, seed=derived_seed(self._seed, turn))
        self._bound, self._space, self._known = key, space, set()

    def knows(self, trial: Hashable) -> bool:
        """Say whether the reward of a trial was learned."""
        return trial in self._known

    def learn(self, rewards: Mapping[Hashable, Reward | None]) -> None:
        """Learn what came of trials, by an id of each; a trial with None says nothing, then or later.

        Raises:
            SpaceError: A configuration does not belong to the space.
        """
        new = {trial: reward for trial, reward in rewards.items() if trial not in self._known}
        self._strategy.handle_rewards([reward for reward in new.values() if reward is not None])
        self._known |= new.keys()

    def ask(self, count: int, *, pending: Sequence[Config], turn: int) -> list[Config]:
        """Return ``count`` configurations: new ones, then, once the space is exhausted, ones drawn from its priors.

        Args:
            count: At least 0.
            pending: What is being evaluated.
            turn: As for `bind`.

        Raises:
            RuntimeError: `bind` was not called.
        """
        if self._space is None:
            raise RuntimeError("The follower has no space yet: call bind first.")
        found = self._strategy.generate_tasks(count, pending=[Candidate(config) for config in pending])
        configs = [candidate.config for candidate in found]
        rng = np.random.default_rng([self._seed, turn])
        return configs + self._space.sample_many(count - len(configs), rng)


def derived_seed(seed: int, *more: int) -> int:
    """Return a seed below 2^32 that depends on all the numbers, each at least 0."""
    return int(np.random.SeedSequence([seed, *more]).generate_state(1)[0])


def stopped_early(value: float, finished: Sequence[float], *, sign: int) -> float:
    """Return what stands for the final value of a trial that was stopped early.

    It was stopped because it was behind, so its final value would hardly have been better than the median of the finished
    ones; its last value alone would be the best of all where a metric starts low and grows, such as a cost so far.

    Args:
        value: The last value that it reported.
        finished: The final values of the others.
        sign: 1 to maximize, -1 to minimize.
    """
    values = [sign * value] + ([sign * statistics.median(finished)] if finished else [])
    return sign * min(values)
