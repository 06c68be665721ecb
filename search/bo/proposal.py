"""One round of Bayesian optimization: observations in, configurations out. Loads torch; the strategy loads this late."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from botorch.exceptions.errors import BotorchError
from linear_operator.utils.errors import NotPSDError

from ..pareto import FloatArray, fitness_order
from ..space import Config
from .composition import Choice, Parts, compose
from .failures import avoiding, can_avoid
from .fitted import Fitted
from .parts import Observed, Search
from .rows import Rows
from .warp import COMPRESSED, warp

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace


@dataclass(frozen=True)
class Data:
    """What is known of a search.

    Args:
        configs: The `n` configurations observed.
        Y: Their `n x m` targets to maximize; NaN rows failed.
        pending: Configurations under evaluation.
        durations_s: How long each of the `n` took in seconds, None where unknown; empty when nothing is known.
        budget: How many evaluations are planned in all, or None.
    """

    configs: Sequence[Config]
    Y: FloatArray
    pending: Sequence[Config]
    durations_s: Sequence[float | None] = ()
    budget: int | None = None

    def seconds(self, chosen: Sequence[int]) -> torch.Tensor | None:
        """Return the durations of some observations, NaN where unknown; None when none is known."""
        if not any(seconds is not None for seconds in self.durations_s):
            return None
        known = [self.durations_s[i] for i in chosen]
        return torch.tensor([math.nan if s is None else s for s in known], dtype=torch.float64)


class Proposer:
    """The parts of a strategy at work on one space.

    Args:
        space: Where to search.
        objectives: What to optimize.
        choices: The parts by kind; see `compose`.
        max_observations: The most that the surrogate learns from, see `select`.
        failures: ``"worst"``: failures count as the worst that was seen; ``"model"``: where they are is modelled, see
            `failures`, for acquisitions that are logs.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        *,
        choices: Mapping[str, Choice],
        max_observations: int,
        failures: str = "worst",
    ) -> None:
        self._failures = failures
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
        parts = compose(self._choices, self._rows)
        if self._failures == "model" and can_avoid(parts.acquisition):
            parts, chosen = self._avoiding(parts, chosen, data)
        scale = getattr(parts.surrogate, "scale", COMPRESSED)
        # a coin decides on the view: what is fine near the best, or what is large anywhere (a hedge, as of acquisitions in
        # Hoffman et al., UAI 2011)
        wide = bool(rng.integers(2))
        targets, goals = warp(data.Y[chosen], self._objectives, scale=scale, wide=wide)
        X = self._rows.encode([data.configs[i] for i in chosen])
        total = len(data.Y)
        observed = Observed(
            X,
            torch.from_numpy(targets),
            goals,
            rows=self._rows,
            duration_s=data.seconds(chosen),
            total=total,
            budget=data.budget,
        )
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

    def _avoiding(self, parts: Parts, chosen: list[int], data: Data) -> tuple[Parts, list[int]]:
        """Return parts whose acquisition avoids failures, and the observations among ``chosen`` that succeeded."""
        succeeded = np.isfinite(data.Y[chosen]).all(axis=1)
        if succeeded.all() or succeeded.sum() < 2:
            return parts, chosen
        X = self._rows.encode([data.configs[i] for i in chosen])
        acquisition = avoiding(parts.acquisition, self._rows, X, succeeded=torch.from_numpy(succeeded))
        return replace(parts, acquisition=acquisition), [chosen[int(i)] for i in np.flatnonzero(succeeded)]


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
