"""One round of Bayesian optimization: observations in, configurations out. Loads torch; the strategy loads this late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from botorch.exceptions.errors import BotorchError
from linear_operator.utils.errors import NotPSDError

from ..pareto import FloatArray, fitness_order
from ..space import Config
from .composition import Choice, compose
from .fitted import Fitted
from .parts import Observed, Search
from .rows import Rows
from .warp import warp

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace


@dataclass(frozen=True)
class Data:
    """What is known: `n` configurations, their `n x m` targets to maximize (NaN rows failed), and what is pending."""

    configs: Sequence[Config]
    Y: FloatArray
    pending: Sequence[Config]


class Proposer:
    """The parts of a strategy at work on one space.

    Args:
        space: Where to search.
        objectives: What to optimize.
        choices: The parts by kind; see `compose`.
        max_observations: The most that the surrogate learns from, see `select`.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        *,
        choices: Mapping[str, Choice],
        max_observations: int,
    ) -> None:
        self._rows = Rows(space)
        self._objectives = tuple(objectives)
        self._choices = choices
        self._max_observations = max_observations
        compose(choices, self._rows)

    def propose(
        self, count: int, data: Data, *, fitted: Fitted, is_new: Callable[[Config], bool], rng: np.random.Generator
    ) -> tuple[list[Config], Fitted]:
        """Return up to ``count`` new configurations and what the next fit starts from.

        Hyperparameters are fitted again when the observations have grown by a twentieth since.

        Raises:
            RuntimeError: The surrogate cannot be fitted or sampled.
        """
        try:
            with _one_thread():
                return self._propose(count, data, fitted=fitted, is_new=is_new, rng=rng)
        except (BotorchError, NotPSDError) as e:
            raise RuntimeError(str(e)) from e

    def _propose(
        self, count: int, data: Data, *, fitted: Fitted, is_new: Callable[[Config], bool], rng: np.random.Generator
    ) -> tuple[list[Config], Fitted]:
        chosen = select(data.Y, self._objectives, limit=self._max_observations)
        targets, goals = warp(data.Y[chosen], self._objectives)
        X = self._rows.encode([data.configs[i] for i in chosen])
        observed = Observed(X, torch.from_numpy(targets), goals)
        parts = compose(self._choices, self._rows)
        total = len(data.Y)
        refit = total - fitted.count >= max(1, total // 20)
        parts.surrogate.fit(X, observed.Y, start=fitted.hyperparameters, refit=refit)
        search = Search(
            self._rows,
            observed,
            parts.surrogate,
            parts.acquisition,
            parts.optimizer,
            parts.generator,
            is_new=is_new,
            rng=rng,
        )
        found = parts.suggester.suggest(count, self._rows.encode(data.pending), search=search)
        vectors = tuple(tuple(vector) for vector in parts.surrogate.hyperparameters)
        return self._rows.decode(found), Fitted(total if refit else fitted.count, vectors)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: the matrices are small, and threads that spin take the cores from the workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def select(Y: FloatArray, objectives: Sequence[Objective], *, limit: int) -> list[int]:
    """Return the observations that a surrogate learns from, in order of arrival.

    All of them up to ``limit``; beyond, the better half of ``limit`` and the latest of the rest, so that the cost of an ask
    stays bounded while the model is exact where it matters.
    """
    if len(Y) <= limit:
        return list(range(len(Y)))
    best = fitness_order(Y, objectives)[: limit // 2]
    rest = sorted(set(range(len(Y))) - set(best))
    return sorted([*best, *rest[-(limit - len(best)) :]])
