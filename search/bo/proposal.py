"""One round of Bayesian optimization: observations in, configurations out. Loads torch; the strategy loads this late."""

from __future__ import annotations

import math
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
from .failures import Avoiding, SuccessModel, can_avoid
from .fitted import Fitted
from .parts import Observed, Search
from .rows import Rows
from .stagnation import standstill
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
            with one_thread():
                return self._propose(count, data, fitted=fitted, is_new=is_new, rng=rng)
        except (BotorchError, NotPSDError) as e:
            raise RuntimeError(str(e)) from e

    def _propose(
        self, count: int, data: Data, *, fitted: Fitted, is_new: Callable[[Config], bool], rng: np.random.Generator
    ) -> tuple[list[Config], Fitted]:
        chosen = select(data.Y, self._objectives, limit=self._max_observations)
        parts = compose(self._choices, self._rows)
        total = len(data.Y)
        refit = total - fitted.count >= max(1, total // 20)
        success = None
        if self._failures == "model" and can_avoid(parts.acquisition):
            success, chosen = self._success(chosen, data, start=fitted.success, refit=refit)
        scale = getattr(parts.surrogate, "scale", COMPRESSED)
        still = standstill(self._merits(data.Y))
        explores = getattr(parts.acquisition, "explores", None)
        # a coin decides on the view: what is fine near the best, or what is large anywhere (a hedge, as of acquisitions in
        # Hoffman et al., UAI 2011); what explores looks at the whole
        wide = bool(rng.integers(2)) or (explores is not None and explores(still, pending=len(data.pending)))
        targets, goals = warp(data.Y[chosen], self._objectives, scale=scale, wide=wide)
        X = self._rows.encode([data.configs[i] for i in chosen])
        observed = Observed(
            X,
            torch.from_numpy(targets),
            goals,
            rows=self._rows,
            duration_s=data.seconds(chosen),
            total=total,
            budget=data.budget,
            standstill=still,
        )
        parts.surrogate.fit(X, observed.Y, start=fitted.hyperparameters, refit=refit)
        search = Search(
            self._rows,
            observed,
            parts.surrogate,
            parts.acquisition if success is None else Avoiding(parts.acquisition, success),
            parts.optimizer,
            parts.generator,
            is_new=is_new,
            rng=rng,
        )
        found = parts.suggester.suggest(count, self._rows.encode(data.pending), search=search)
        models = (parts.surrogate.hyperparameters, [] if success is None else success.hyperparameters)
        vectors = (tuple(tuple(vector) for vector in model) for model in models)
        return self._rows.decode(found), Fitted(total if refit else fitted.count, *vectors)

    def _merits(self, Y: FloatArray) -> FloatArray:
        """Return the values of the only optimized objective, NaN where a bound is broken; none of several objectives."""
        optimized = [column for column, objective in enumerate(self._objectives) if objective.optimized]
        if len(optimized) != 1:
            return np.zeros(0)
        kept = np.ones(len(Y), dtype=bool)
        for column, objective in enumerate(self._objectives):
            if objective.bound is not None:
                kept &= Y[:, column] >= objective.sign * objective.bound
        return np.where(kept, Y[:, optimized[0]], np.nan)

    def _success(
        self, chosen: list[int], data: Data, *, start: Sequence[Sequence[float]], refit: bool
    ) -> tuple[SuccessModel | None, list[int]]:
        """Return a model of where candidates succeed, and the observations among ``chosen`` that did; None if all or few did."""
        succeeded = np.isfinite(data.Y[chosen]).all(axis=1)
        if succeeded.all() or succeeded.sum() < 2:
            return None, chosen
        model = SuccessModel(self._rows)
        X = self._rows.encode([data.configs[i] for i in chosen])
        model.fit(X, torch.from_numpy(succeeded), start=start, refit=refit)
        return model, [chosen[int(i)] for i in np.flatnonzero(succeeded)]


@contextmanager
def one_thread() -> Iterator[None]:
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
