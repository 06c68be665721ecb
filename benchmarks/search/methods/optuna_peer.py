"""Optuna's samplers; conditions through its define-by-run interface."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna

from ..problems.problem import Problem
from .flat import columns, unflatten


class Optuna:
    """A study.

    Args:
        sampler: One of Optuna's.
        problem: What is searched.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler, problem: Problem) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = ["maximize" if objective.goal == "max" else "minimize" for objective in problem.objectives]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._problem = problem
        self._columns = list(columns(problem.space))

    def ask(self) -> tuple[Any, dict[str, Any]]:
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for column in self._columns:
            if not column.parameter.active(values):
                continue
            if column.kind == "choice":
                value = trial.suggest_categorical(column.name, list(column.values))
            elif column.kind == "int":
                value = trial.suggest_int(column.name, int(column.low), int(column.high), log=column.log)
            else:
                value = trial.suggest_float(column.name, column.low, column.high, log=column.log)
            values[column.name] = value
        return trial, unflatten(self._problem.space, values)

    def tell(self, handle: Any, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self._study.tell(handle, [metrics[objective.key] for objective in self._problem.objectives])


def tpe(problem: Problem, *, seed: int, evaluations: int) -> Optuna:  # noqa: ARG001
    """Begin with the multivariate TPE, by groups of parameters that are active together."""
    warnings.simplefilter("ignore")
    initial = {} if problem.initial is None else {"n_startup_trials": problem.initial}
    return Optuna(optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, **initial), problem)


def gp(problem: Problem, *, seed: int, evaluations: int) -> Optuna:  # noqa: ARG001
    """Begin with the GPSampler, which is deterministic in the objective."""
    warnings.simplefilter("ignore")
    initial = {} if problem.initial is None else {"n_startup_trials": problem.initial}
    return Optuna(optuna.samplers.GPSampler(seed=seed, deterministic_objective=True, **initial), problem)


def nsga2(problem: Problem, *, seed: int, evaluations: int) -> Optuna:
    """Begin with NSGA-II, in generations of a fifth of the evaluations, at most 50."""
    size = max(4, min(50, evaluations // 5))
    return Optuna(optuna.samplers.NSGAIISampler(seed=seed, population_size=size), problem)
