"""Optuna's samplers; conditions through its define-by-run interface, bounds through ``constraints_func``.

A trial that failed is told the worst value that was seen, which teaches a sampler more than its state FAIL: that is ignored.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna

from omniforge.search import Objective

from ..problems.problem import Problem
from .flat import columns, unflatten

_BROKEN = "broken"


class Optuna:
    """A study.

    Args:
        sampler: One of Optuna's.
        problem: What is searched.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler, problem: Problem) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optimized = [objective for objective in problem.objectives if objective.optimized]
        directions = ["maximize" if objective.goal == "max" else "minimize" for objective in self._optimized]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._problem = problem
        self._worst: list[float] | None = None
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
        if not metrics and self._worst is None:
            self._study.tell(handle, state=optuna.trial.TrialState.FAIL)
            return
        values = [metrics[objective.key] for objective in self._optimized] if metrics else list(self._worst or ())
        worst = values if self._worst is None else self._worst
        pairs = zip(self._optimized, values, worst, strict=True)
        self._worst = [max(value, low) if goal.goal == "min" else min(value, low) for goal, value, low in pairs]
        broken = [o.sign * ((o.bound or 0.0) - metrics[o.key]) for o in limits(self._problem)] if metrics else []
        handle.set_user_attr(_BROKEN, broken or [0.0] * len(limits(self._problem)))
        self._study.tell(handle, values)


def limits(problem: Problem) -> list[Objective]:
    """Return the objectives that are bounds."""
    return [objective for objective in problem.objectives if objective.bound is not None]


def _options(problem: Problem) -> dict[str, Any]:
    """Return the options of a sampler that a problem asks for."""
    initial = {} if problem.initial is None else {"n_startup_trials": problem.initial}
    return initial | ({"constraints_func": lambda trial: trial.user_attrs[_BROKEN]} if limits(problem) else {})


def tpe(problem: Problem, *, seed: int, evaluations: int) -> Optuna:  # noqa: ARG001
    """Begin with the multivariate TPE, by groups of parameters that are active together."""
    warnings.simplefilter("ignore")
    return Optuna(optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, **_options(problem)), problem)


def gp(problem: Problem, *, seed: int, evaluations: int) -> Optuna:  # noqa: ARG001
    """Begin with the GPSampler, which is deterministic in the objective."""
    warnings.simplefilter("ignore")
    return Optuna(optuna.samplers.GPSampler(seed=seed, deterministic_objective=True, **_options(problem)), problem)


def nsga2(problem: Problem, *, seed: int, evaluations: int) -> Optuna:
    """Begin with NSGA-II, in generations of a fifth of the evaluations, at most 50."""
    size = max(4, min(50, evaluations // 5))
    return Optuna(optuna.samplers.NSGAIISampler(seed=seed, population_size=size), problem)
