"""Ax with its default generation strategy (Sobol, then BoTorch's mixed GP); conditions are not told, all columns are active."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from ..problems.problem import Problem
from .flat import Column, columns, unflatten


class Ax:
    """An Ax client, one trial at a time.

    Args:
        problem: What is searched.
        seed: Of the client and of its Sobol points.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        for name in ("ax", "ax.api.client", "ax.generation_strategy"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
        self._problem = problem
        self._client = Client(random_seed=seed)
        self._columns = {f"x{i}": column for i, column in enumerate(columns(problem.space))}
        self._client.configure_experiment([_parameter(name, column) for name, column in self._columns.items()])
        signs = ["" if objective.goal == "max" else "-" for objective in problem.objectives]
        terms = [f"{sign}{objective.metric}" for sign, objective in zip(signs, problem.objectives, strict=True)]
        self._client.configure_optimization(objective=", ".join(terms))
        self._client.configure_generation_strategy(
            method="fast", initialization_budget=problem.initial, initialization_random_seed=seed
        )

    def ask(self) -> tuple[int, dict[str, Any]]:
        ((index, values),) = self._client.get_next_trials(1).items()
        return index, unflatten(self._problem.space, {self._columns[name].name: values[name] for name in values})

    def tell(self, handle: int, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        data = {objective.metric: metrics[objective.key] for objective in self._problem.objectives}
        self._client.complete_trial(handle, raw_data=data)


def _parameter(name: str, column: Column) -> Any:
    if column.kind == "choice":
        return ChoiceParameterConfig(name=name, values=list(column.values), parameter_type="str")
    scaling = "log" if column.log else "linear"
    return RangeParameterConfig(
        name=name, bounds=(column.low, column.high), parameter_type=column.kind, scaling=scaling
    )


def start(problem: Problem, *, seed: int, evaluations: int) -> Ax:  # noqa: ARG001
    """Begin."""
    return Ax(problem, seed=seed)
