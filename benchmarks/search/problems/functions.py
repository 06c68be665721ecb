"""Test functions of 6, 20 and 60 numbers, for regret where speed is measured. Optima are moved off the middle and known.

Ackley, Levy, Rastrigin and Hartmann as in Surjanovic and Bingham's virtual library of simulation experiments. Of 20 and 60
coordinates, `sparse` problems use six; the others are there to be ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective, SearchSpace

Array = np.ndarray[Any, np.dtype[np.float64]]

_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(u: Array) -> float:
    """Return Hartmann's function of 6 coordinates less its least value."""
    inner = (_HARTMANN_A * (u - _HARTMANN_P) ** 2).sum(axis=1)
    return float(3.32237 - np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner))


def _ackley(z: Array) -> float:
    z = 16.0 * z
    return float(20 - 20 * np.exp(-0.2 * math.sqrt(np.mean(z**2))) + math.e - np.exp(np.mean(np.cos(2 * math.pi * z))))


def _levy(z: Array) -> float:
    w = 1 + 2.5 * z
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    first = np.sin(math.pi * w[0]) ** 2
    return float(first + middle + (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2))


def _rosenbrock(z: Array) -> float:
    x = 1 + 2 * z
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


class Function:
    """A function of ``d`` numbers in [0, 1], of which the first ``used`` count.

    Args:
        name: The function.
        function: Maps coordinates to a loss of at least 0; centered at 0 unless ``centered`` is false.
        d: How many numbers.
        used: How many count.
        centered: Whether the optimum is at 0, so that it can be moved.
    """

    objectives = (Objective("loss", "min"),)
    optimum: float | None = 0.0
    initial: int | None = None

    def __init__(
        self, name: str, function: Callable[[Array], float], *, d: int, used: int, centered: bool = True
    ) -> None:
        self.name = f"{name}-{used}-of-{d}"
        self._function, self._used = function, used
        seed = sum(self.name.encode())
        self._shift = np.random.default_rng(seed).uniform(0.2, 0.8, used) if centered else np.zeros(used)
        self.space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(d)})

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the loss."""
        u = np.array([config[f"x{i}"] for i in range(self._used)])
        return {"loss": self._function(u - self._shift)}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def problems(data: Path | None) -> list[Function]:  # noqa: ARG001
    """Return the functions; they need no data."""
    return [
        Function("hartmann", hartmann, d=6, used=6, centered=False),
        Function("rosenbrock", _rosenbrock, d=6, used=6),
        Function("hartmann", hartmann, d=20, used=6, centered=False),
        Function("ackley", _ackley, d=20, used=20),
        Function("hartmann", hartmann, d=60, used=6, centered=False),
        Function("levy", _levy, d=60, used=60),
    ]
