"""Problems in which 30-60 % of the configurations fail for a reason: an algorithm, a corner, memory, divergence, a ball.

A failed configuration measures nothing. Where it fails, `structure` of the space says: a value of a choice, a linear or a product
rule over numbers. The best configurations of most lie next to the failures, as in practice (the largest model that fits).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from omniforge.search import Objective, SearchSpace

from .conditional import Conditional
from .functions import hartmann

Config = Mapping[str, Any]
_FLOAT = {"type": "float", "range": [0.0, 1.0]}


class Failing:
    """A function that is undefined in a part of its space.

    Args:
        name: Of the problem.
        space: As a mapping.
        loss: Of a configuration that succeeds, to be minimized.
        fails: Says whether a configuration fails.
        optimum: The least loss, where it is known.
    """

    objectives: Sequence[Objective] = (Objective("loss", "min"),)
    initial: int | None = None

    def __init__(
        self,
        name: str,
        space: Mapping[str, Any],
        *,
        loss: Callable[[Config], float],
        fails: Callable[[Config], bool],
        optimum: float | None = None,
    ) -> None:
        self.name, self.optimum = name, optimum
        self.space = SearchSpace.from_dict(dict(space))
        self._loss, self._fails = loss, fails

    def measure(self, config: Config) -> dict[str, float]:
        """Return the loss; nothing where it fails."""
        return {} if self._fails(config) else {"loss": self._loss(config)}

    def report(self, config: Config) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


class WithoutAlgorithms(Conditional):
    """A `Conditional` problem on a machine where three of its seven algorithms do not run.

    Args:
        number: Seeds the problem.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name, self.optimum = f"fail-algorithms-{number}", None
        broken = np.random.default_rng(number).choice(7, size=3, replace=False)
        self._broken = {f"a{i}" for i in broken}

    def measure(self, config: Config) -> dict[str, float]:
        """Return score and latency; nothing of an algorithm that does not run."""
        return {} if config["algorithm"] in self._broken else super().measure(config)

    def report(self, config: Config) -> dict[str, float]:  # noqa: ARG002
        """Return nothing."""
        return {}


def _corner() -> Failing:
    space = {**{f"x{i}": _FLOAT for i in range(4)}, "kind": {"type": "choice", "range": ["a", "b", "c"]}}
    worth = {"a": 0.1, "b": 0.0, "c": 0.3}

    def loss(config: Config) -> float:
        place = (0.75, 0.6, 0.3, 0.8) if config["kind"] != "c" else (0.3, 0.3, 0.5, 0.5)
        return float(worth[config["kind"]] + sum((config[f"x{i}"] - at) ** 2 for i, at in enumerate(place)))

    # the nearest point of the border to (0.75, 0.6) is 0.15 / sqrt(2) away
    return Failing(
        "fail-corner", space, loss=loss, fails=lambda c: bool(c["x0"] + c["x1"] > 1.2), optimum=0.15**2 / 2.0
    )


def _memory() -> Failing:
    space = {
        "layers": {"type": "int", "range": [1, 8]},
        "width": {"type": "int", "range": [16, 2048], "log": True},
        "batch": {"type": "int", "range": [8, 512], "log": True},
        "rate": {"type": "float", "range": [1e-5, 1e-1], "log": True},
        "norm": {"type": "choice", "range": ["batch", "layer", "none"]},
    }

    def loss(config: Config) -> float:
        depth, width = config["layers"] / 8.0, math.log(config["width"] / 16) / math.log(128)
        capacity = 1.0 - 0.6 * (depth * width) ** 0.5
        best_rate = -2.5 - 1.0 * width + 0.5 * math.log10(config["batch"] / 8)
        tuning = 0.15 * (math.log10(config["rate"]) - best_rate) ** 2
        noise = 0.1 * (math.log2(config["batch"]) - 7.0) ** 2 / 9.0
        norm = {"batch": 0.0, "layer": 0.02, "none": 0.05 + 0.2 * depth}[config["norm"]]
        return float(capacity + tuning + noise + norm)

    return Failing(
        "fail-memory", space, loss=loss, fails=lambda c: bool(c["layers"] * c["width"] * c["batch"] > 40_000)
    )


def _divergence() -> Failing:
    sgd = {
        "rate": {"type": "float", "range": [1e-4, 1.0], "log": True},
        "damping": {"type": "float", "range": [1e-3, 1.0], "log": True},
    }
    adam = {
        "rate": {"type": "float", "range": [1e-5, 1.0], "log": True},
        "epsilon": {"type": "float", "range": [1e-9, 1e-2], "log": True},
    }
    space = {
        "optimizer": {"type": "choice", "range": ["sgd", "adam"], "submodule": {"sgd": sgd, "adam": adam}},
        "decay": {"type": "float", "range": [1e-6, 1e-1], "log": True},
        "dropout": {"type": "float", "range": [0.0, 0.8]},
    }

    def speed(config: Config) -> float:
        if config["optimizer"] == "sgd":
            return math.log10(config["optimizer.sgd.rate"] / config["optimizer.sgd.damping"])
        return math.log10(config["optimizer.adam.rate"]) + 2.0

    def loss(config: Config) -> float:
        # the faster the better, up to where it diverges
        common = 0.1 * (math.log10(config["decay"]) + 4.0) ** 2 + 0.5 * (config["dropout"] - 0.3) ** 2
        if config["optimizer"] == "sgd":
            extra = 0.1 * (math.log10(config["optimizer.sgd.damping"]) + 1.0) ** 2
        else:
            extra = 0.05 + 0.02 * (math.log10(config["optimizer.adam.epsilon"]) + 6.0) ** 2
        return float(common + extra + 0.2 * math.log1p(math.exp(-1.5 * speed(config))))

    return Failing("fail-divergence", space, loss=loss, fails=lambda c: speed(c) > 0.0)


def _ball() -> Failing:
    def coordinates(config: Config) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([config[f"x{i}"] for i in range(6)])

    return Failing(
        "fail-ball",
        {f"x{i}": _FLOAT for i in range(6)},
        loss=lambda config: hartmann(coordinates(config)),
        fails=lambda config: bool((coordinates(config) ** 2).sum() > 2.0),
        optimum=0.0,
    )


def problems() -> list[Failing | WithoutAlgorithms]:
    """Return the problems."""
    return [WithoutAlgorithms(0), WithoutAlgorithms(1), _corner(), _memory(), _divergence(), _ball()]
