"""Made-up problems whose parameter is an order: assignments, tours, schedules, and an order beside a number and a choice.

They are the textbook forms, with numbers drawn from a seed: quadratic assignment (Koopmans and Beckmann 1957), tours with even
and with one-way distances, permutation flow shops, one machine with weighted tardiness, and linear ordering. The optima
are the best of many descents over swaps, moves and turns; those of the orders of ten items are what listing all of them gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective, SearchSpace

Array = np.ndarray[Any, np.dtype[Any]]
Cost = Callable[[Array], float]
"""Maps an order of `n` items, as their numbers, to a loss."""


def assignment(n: int, rng: np.random.Generator, *, flat: bool) -> Cost:
    """Return a quadratic assignment: what flows between facilities times how far apart the sites are that they get.

    Args:
        n: Facilities and sites.
        rng: Draws them.
        flat: Whether sites lie in a plane and few flows are large, as in practice; else all numbers are uniform.
    """
    sites = rng.random((n, 2))
    between = rng.random((n, n))
    distance = np.linalg.norm(sites[:, None] - sites, axis=-1) if flat else np.triu(between, 1) + np.triu(between, 1).T
    flow = np.triu(np.exp(2.0 * rng.standard_normal((n, n))) if flat else rng.random((n, n)), 1)

    def cost(order: Array) -> float:
        return float((flow / flow.sum() * distance[np.ix_(order, order)]).sum())

    return cost


def tour(n: int, rng: np.random.Generator, *, even: bool) -> Cost:
    """Return the mean step of a round trip through `n` places in a square, against the wind unless it is ``even``."""
    places = rng.random((n, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=-1) * (1.0 if even else np.exp(rng.normal(0, 0.5, (n, n))))

    def cost(order: Array) -> float:
        return float(distance[order, np.roll(order, -1)].mean())

    return cost


def flow_shop(n: int, rng: np.random.Generator, *, machines: int) -> Cost:
    """Return the time until `n` jobs have passed all machines in the same order, by the work on the busiest one."""
    work = rng.integers(1, 100, (n, machines)).astype(np.float64)

    def cost(order: Array) -> float:
        ready = np.zeros(machines)
        for job in order:
            ready[0] += work[job, 0]
            for machine in range(1, machines):
                ready[machine] = max(ready[machine], ready[machine - 1]) + work[job, machine]
        return float(ready[-1] / work.sum(axis=0).max())

    return cost


def tardiness(n: int, rng: np.random.Generator) -> Cost:
    """Return the weighted tardiness of `n` jobs on one machine, by the total work and weight."""
    work, weight = rng.integers(1, 100, n).astype(np.float64), rng.integers(1, 11, n).astype(np.float64)
    due = rng.uniform(0.2, 0.8, n) * work.sum()

    def cost(order: Array) -> float:
        late = np.maximum(np.cumsum(work[order]) - due[order], 0.0)
        return float((weight[order] * late).sum() / (work.sum() * weight.sum()))

    return cost


def ordering(worth: Array) -> Cost:
    """Return a linear ordering: the mean of ``worth[i, j]`` over the pairs in which `i` comes before `j`."""

    def cost(order: Array) -> float:
        return float(worth[np.ix_(order, order)][np.triu_indices(len(order), 1)].mean())

    return cost


class Order:
    """A loss of an order.

    Args:
        name: Of the problem.
        cost: The loss.
        n: The number of items.
        optimum: The least loss.
    """

    objectives: Sequence[Objective] = (Objective("loss", "min"),)
    initial: int | None = None

    def __init__(self, name: str, cost: Cost, *, n: int, optimum: float | None) -> None:
        self.name, self.optimum = name, optimum
        self.cost = cost
        self.space = SearchSpace.from_dict({"order": {"type": "permutation", "items": list(range(n))}})

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the loss."""
        return {"loss": self.cost(np.array(config["order"]))}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


class Pipeline:
    """The order of eight steps, a choice that changes what orders are good, and a rate whose best value the first step decides."""

    objectives: Sequence[Objective] = (Objective("loss", "min"),)
    initial: int | None = None
    kinds = ("a", "b", "c")

    def __init__(self, rng: np.random.Generator, *, optimum: float | None) -> None:
        self.name, self.optimum = "pipeline-8", optimum
        common = rng.standard_normal((8, 8))
        self.costs = {kind: ordering(common + 0.7 * rng.standard_normal((8, 8))) for kind in self.kinds}
        self._best = rng.uniform(0.1, 0.9, 8)
        self.space = SearchSpace.from_dict(
            {
                "steps": {"type": "permutation", "items": list(range(8))},
                "kind": {"type": "choice", "range": list(self.kinds)},
                "rate": {"type": "float", "range": [0.0, 1.0]},
            }
        )

    def measure(self, config: Mapping[str, Any]) -> dict[str, float]:
        """Return the loss."""
        away = config["rate"] - self._best[config["steps"][0]]
        return {"loss": self.costs[config["kind"]](np.array(config["steps"])) + 2.0 * away**2}

    def report(self, config: Mapping[str, Any]) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


OPTIMA = {
    "assignment-10": 0.262572112717114,
    "tour-10": 0.2541719116491863,
    "flow-shop-10": 1.2440801457194899,
    "tardiness-10": 0.06086008909156347,
    "assignment-12": 0.4368240340082119,
    "one-way-12": 0.17918406108752424,
    "pipeline-8": -0.7736547579788663,
}


def problems(data: Path | None) -> list[Order | Pipeline]:  # noqa: ARG001
    """Return the problems; they need no data."""
    rngs = iter(np.random.default_rng(7).spawn(7))
    costs = {
        "assignment-10": (assignment(10, next(rngs), flat=True), 10),
        "tour-10": (tour(10, next(rngs), even=True), 10),
        "flow-shop-10": (flow_shop(10, next(rngs), machines=5), 10),
        "tardiness-10": (tardiness(10, next(rngs)), 10),
        "assignment-12": (assignment(12, next(rngs), flat=False), 12),
        "one-way-12": (tour(12, next(rngs), even=False), 12),
    }
    made = [Order(name, cost, n=n, optimum=OPTIMA.get(name)) for name, (cost, n) in costs.items()]
    return [*made, Pipeline(next(rngs), optimum=OPTIMA.get("pipeline-8"))]
