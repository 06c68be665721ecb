"""Made-up conditional spaces like a tabular one: seven algorithms with 5-8 parameters each, drawn at random from a number.

Each algorithm has a level, an optimum in each of its parameters and a weight for each (log-normal: few matter); a latency that
spans four orders of magnitude is measured too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective, SearchSpace

KINDS: dict[str, dict[str, Any]] = {
    "float": {"type": "float", "range": [0.0, 1.0]},
    "log": {"type": "float", "range": [1e-4, 1.0], "log": True},
    "int": {"type": "int", "range": [1, 20]},
    "choice": {"type": "choice", "range": ["u", "v", "w"]},
}
COUNT = 12


@dataclass(frozen=True)
class Algorithm:
    """One branch: its level, and per parameter an optimum, a weight and the worth of each value of a choice."""

    level: float
    optimum: list[float]
    weight: list[float]
    worth: list[list[float]]


class Conditional:
    """A made-up family of algorithms.

    Args:
        number: Seeds the problem.
    """

    objectives: Sequence[Objective] = (Objective("score", "max"),)
    initial: int | None = None

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(1000 + number)
        self.name = f"conditional-{number}"
        self._algorithms: dict[str, Algorithm] = {}
        branches: dict[str, Any] = {}
        for i in range(7):
            k = int(rng.integers(5, 9))
            kinds = rng.choice(list(KINDS), size=k, p=[0.4, 0.25, 0.2, 0.15])
            branches[f"a{i}"] = {f"p{j}": KINDS[str(kind)] for j, kind in enumerate(kinds)}
            self._algorithms[f"a{i}"] = Algorithm(
                float(rng.normal(0, 0.6)),
                rng.uniform(0, 1, k).tolist(),
                np.exp(rng.normal(-0.5, 1.2, k)).tolist(),
                rng.normal(0, 0.3, (k, 3)).tolist(),
            )
        algorithm = {"type": "choice", "range": list(branches), "submodule": branches}
        self.space = SearchSpace.from_dict({"algorithm": algorithm})
        self.optimum: float | None = self._optimum()

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return score and latency."""
        name = config["algorithm"]
        algorithm = self._algorithms[name]
        score, log_latency = algorithm.level, 0.4 * list(self._algorithms).index(name)
        for j, (optimum, weight, worth) in enumerate(
            zip(algorithm.optimum, algorithm.weight, algorithm.worth, strict=True)
        ):
            path = f"algorithm.{name}.p{j}"
            value = config[path]
            if isinstance(value, str):
                score += worth["uvw".index(value)]
            else:
                unit = self.space.parameters[path].domain.to_unit(value)
                score -= weight * (unit - optimum) ** 2
                log_latency += weight * unit
        return {"score": score, "latency": math.exp(log_latency)}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the latency, which is not optimized."""
        return {"latency": self.measure(config)["latency"]}

    def _optimum(self) -> float:
        """Return the best score, up to the grids of the integers."""
        best = []
        for name, algorithm in self._algorithms.items():
            kinds = [self.space.parameters[f"algorithm.{name}.p{j}"].kind for j in range(len(algorithm.worth))]
            gains = [max(w) for w, kind in zip(algorithm.worth, kinds, strict=True) if kind == "choice"]
            best.append(algorithm.level + sum(gains))
        return max(best)


def problems(data: Path | None) -> list[Conditional]:  # noqa: ARG001
    """Return the problems; they need no data."""
    return [Conditional(number) for number in range(COUNT)]
