"""HEBO (Cowen-Rivers et al. 2022) with its own choices; conditions are not told, all columns are active."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from ..problems.problem import Problem
from .flat import Column, columns, unflatten


class Hebo:
    """An optimizer that is asked and told.

    Args:
        problem: What is searched.
        seed: Of its Sobol points and of the global generators that it draws from.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        import torch

        warnings.simplefilter("ignore")
        np.random.seed(seed)
        torch.manual_seed(seed)
        self._problem = problem
        self._columns = {f"x{i}": column for i, column in enumerate(columns(problem.space))}
        space = DesignSpace().parse([_parameter(name, column) for name, column in self._columns.items()])
        initial = {} if problem.initial is None else {"rand_sample": problem.initial}
        self._hebo = HEBO(space, scramble_seed=seed, **initial)

    def ask(self) -> tuple[Any, dict[str, Any]]:
        rows = self._hebo.suggest(1)
        values = {column.name: rows[name].iloc[0] for name, column in self._columns.items()}
        return rows, unflatten(self._problem.space, values)

    def tell(self, handle: Any, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        (objective,) = self._problem.objectives
        self._hebo.observe(handle, np.array([[-objective.sign * metrics[objective.key]]]))


def _parameter(name: str, column: Column) -> dict[str, Any]:
    if column.kind == "choice":
        return {"name": name, "type": "cat", "categories": list(column.values)}
    kinds = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
    return {"name": name, "type": kinds[column.kind, column.log], "lb": column.low, "ub": column.high}


def start(problem: Problem, *, seed: int, evaluations: int) -> Hebo:  # noqa: ARG001
    """Begin."""
    return Hebo(problem, seed=seed)
