"""The contract of one tabular algorithm, and the registry of them; each is a module of its own beside this one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...registry import Registry

Matrix = NDArray[np.float32]
Target = NDArray[Any]

# Progress is reported at these percentages of an algorithm's full budget: ten points are a curve that can be compared
# between algorithms, and cost little beside the training.
CHECKPOINTS = tuple(range(10, 101, 10))
# For those that learn in one go, from growing samples of the rows: a tenth and a third of them cost less than half of
# the full fit together, and show how the score grows with data.
ROW_CHECKPOINTS = (10, 33, 100)


@dataclass(frozen=True)
class Problem:
    """What is to be learned, as far as an algorithm cares.

    Args:
        task: ``"classification"`` or ``"regression"``.
        classes: The number of classes; 0 for regression.
        seed: All randomness follows from it.
        threads: How many threads to train with.
    """

    task: str
    classes: int
    seed: int = 0
    threads: int = 1

    @property
    def is_classification(self) -> bool:
        """Whether classes are predicted."""
        return self.task == "classification"


class Algorithm(ABC):
    """One way to learn a table.

    Args:
        settings: The hyperparameters of this algorithm, by the names of its branch of the search space.
        problem: What is to be learned.
    """

    encoding: ClassVar[str] = "ordinal"

    def __init__(self, settings: Mapping[str, Any], problem: Problem) -> None:
        self.settings = dict(settings)
        self.problem = problem

    @abstractmethod
    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Train in steps; after each the model can predict.

        Args:
            X: ``n x d`` features.
            y: ``n`` class indices (int64) or values (float64).
            percent: How much of the full budget to train for, 1 to 100.

        Yields:
            How much of the full budget is done, in percent; the last one is ``percent``.
        """

    @abstractmethod
    def predict_raw(self, X: Matrix) -> NDArray[np.float64]:
        """Map ``n x d`` features to probabilities ``n x k``, or to a prediction ``n x 1``."""

    @property
    @abstractmethod
    def native_model(self) -> object:
        """The fitted model as its own library knows it."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted model into ``folder`` in a format that cannot carry code."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], problem: Problem) -> Self:
        """Read what :meth:`save` wrote."""


ALGORITHMS: Registry[type[Algorithm]] = Registry(
    "tabular algorithm",
    {
        "hist_gradient_boosting": ".hist_gradient_boosting:HistGradientBoosting",
        "random_forest": ".forests:RandomForest",
        "extra_trees": ".forests:ExtraTrees",
        "linear": ".linear:Linear",
        "knn": ".neighbors:NearestNeighbors",
        "lightgbm": ".light_gbm:LightGBM",
        "mlp": ".mlp:MLP",
    },
    package=__package__,
)


def checkpoints(total: int, percent: int) -> list[tuple[int, int]]:
    """Divide a training into reported steps.

    Args:
        total: The units (trees, rounds, epochs) of the full budget, at least 1.
        percent: How much of the full budget is trained, 1 to 100.

    Returns:
        Pairs of units done and percent done, both rising; the last is ``(ceil(total * percent / 100), percent)``.
    """
    marks = [mark for mark in CHECKPOINTS if mark < percent] + [percent]
    by_units: dict[int, int] = {}
    for mark in marks:
        by_units[math.ceil(total * mark / 100)] = mark  # few units: several marks fall together, the last one names it
    return list(by_units.items())


def row_checkpoints(rows: int, percent: int, *, problem: Problem) -> list[tuple[int, int]]:
    """Divide a training on growing samples of the rows into reported steps.

    The rows of a prepared data set are ordered so that every prefix is a stratified sample that has all classes once
    it has as many rows; so a sample is a prefix, and no row is copied.

    Args:
        rows: The training rows that there are.
        percent: The share of them in the largest sample, 1 to 100.
        problem: Gives the least number of rows.

    Returns:
        Pairs of rows and percent, the percent rising; the last is ``percent``.
    """
    least = max(problem.classes, 2)
    marks = [mark for mark in ROW_CHECKPOINTS if mark < percent] + [percent]
    return [(min(rows, max(least, math.ceil(rows * mark / 100))), mark) for mark in marks]
