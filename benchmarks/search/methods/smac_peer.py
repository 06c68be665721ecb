"""SMAC3's hyperparameter optimization facade (random forest, log EI), with conditions."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from omniforge.search import SearchSpace

from ..problems.problem import Problem
from .flat import Column, columns, unflatten


class Smac:
    """An optimizer that is asked and told.

    Args:
        problem: What is searched.
        seed: Of the optimizer.
        evaluations: How many there will be, which sizes its design.
    """

    def __init__(self, problem: Problem, *, seed: int, evaluations: int) -> None:
        logging.getLogger("smac").setLevel(logging.ERROR)
        self._problem = problem
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            configspace(problem.space),
            deterministic=True,
            n_trials=evaluations,
            seed=seed,
            output_directory=self._folder.name,
        )
        initial = {} if problem.initial is None else {"n_configs": problem.initial, "max_ratio": 1.0}
        design = Facade.get_initial_design(scenario, **initial)
        self._smac = Facade(scenario, _not_called, initial_design=design, overwrite=True, logging_level=False)

    def ask(self) -> tuple[TrialInfo, dict[str, Any]]:
        info = self._smac.ask()
        return info, unflatten(self._problem.space, dict(info.config))

    def tell(self, handle: TrialInfo, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        (objective,) = self._problem.objectives
        self._smac.tell(handle, TrialValue(cost=-objective.sign * metrics[objective.key]))


def _not_called(config: Any, seed: int = 0) -> float:
    """Stand for the target function, which SMAC wants although it is asked and told."""
    raise RuntimeError(f"SMAC is asked and told, and evaluates nothing itself: {config}, seed {seed}.")


def configspace(space: SearchSpace) -> ConfigurationSpace:
    """Return our space as SMAC has them: what hangs on one choice is conditional, anything else is always active."""
    out = ConfigurationSpace()
    made = {column.name: _hyperparameter(column) for column in columns(space)}
    out.add(list(made.values()))
    for column in columns(space):
        above = set(column.parameter.above)
        if len(above) == 1 and (parent := above.pop()) in made:
            values = [value for value in made[parent].choices if column.parameter.active({parent: value})]
            out.add(InCondition(made[column.name], made[parent], values))
    return out


def _hyperparameter(column: Column) -> Any:
    if column.kind == "choice":
        return Categorical(column.name, list(column.values))
    kind = Integer if column.kind == "int" else Float
    bounds = (int(column.low), int(column.high)) if column.kind == "int" else (column.low, column.high)
    return kind(column.name, bounds, log=column.log)


def start(problem: Problem, *, seed: int, evaluations: int) -> Smac:
    """Begin."""
    return Smac(problem, seed=seed, evaluations=evaluations)
