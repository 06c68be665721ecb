"""Our strategies, one candidate at a time."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from omniforge.search import Candidate, Reward, strategy
from omniforge.search.strategy import STRATEGIES, one_choice

from ..problems.problem import Problem
from . import Start


class Ours:
    """A strategy at work.

    Args:
        choice: What `omniforge.search.strategy` takes.
        problem: What is searched.
        seed: Of the strategy.
    """

    def __init__(self, choice: str | Mapping[str, Any], problem: Problem, *, seed: int) -> None:
        name, options = one_choice(choice, "strategy")
        known = inspect.signature(STRATEGIES.get(name)).parameters
        if problem.initial is not None and "initial" in known:
            options = {"initial": problem.initial} | options
        self._strategy = strategy({name: options})
        self._strategy.bind_space(problem.space, problem.objectives, seed=seed)

    def ask(self) -> tuple[Candidate, dict[str, Any]]:
        (candidate,) = self._strategy.generate_tasks(1)
        return candidate, candidate.config

    def tell(self, handle: Candidate, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self._strategy.handle_rewards([Reward(handle, metrics, state="succeeded" if metrics else "failed")])


def starter(choice: str | Mapping[str, Any]) -> Start:
    """Return what begins a search with a strategy."""

    def start(problem: Problem, *, seed: int, evaluations: int) -> Ours:  # noqa: ARG001
        return Ours(choice, problem, seed=seed)

    return start
