"""Small searches for the conformance suites of the parts of Bayesian optimization: spaces, observations, fitted surrogates."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.composition import SURROGATES
from omniforge.search.bo.parts import Observed, Surrogate
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals

SPACES = {
    "numeric": SearchSpace.from_yaml(
        "x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.001, 1.0], log: true}"
    ),
    "conditional": SearchSpace.from_yaml(
        """
        kind:
          type: choice
          range: [a, b]
          weights: [3, 1]
          submodule:
            a: {x: {type: float, range: [0.0, 1.0], prior: {normal: {mean: 0.3, std: 0.2}}}}
            b: {z: {type: int, range: [1, 99]}}
        rate: {type: float, range: [0.0, 1.0]}
        flag: {type: bool}
        forbid: [{kind: b, flag: true}]
        """
    ),
    "finite": SearchSpace.from_yaml(
        """
        a: {type: choice, range: {x, y, z}}
        b: {type: int, range: [1, 5], when: {a: [x, y]}}
        c: {type: ordinal, range: [1, 2, 4]}
        """
    ),
    "cells": SearchSpace.from_yaml(
        "cell: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}"
    ),
    "orders": SearchSpace.from_yaml(
        """
        order: {type: permutation, items: [a, b, c, d, e]}
        x: {type: float, range: [0.0, 1.0]}
        """
    ),
}
SURROGATE_NAMES = tuple(name for name in ("gp", "rf") if name in SURROGATES)
GOALS = {
    "one": Goals((0,), {}),
    "limited": Goals((0,), {1: 0.0}),
    "two": Goals((0, 1), {}),
    "bounded": Goals((0, 1), {1: -0.5}),
    "hopeless": Goals((0,), {1: 9.0}),
}
OBSERVATIONS = 12


@cache
def rows_of(space: str) -> Rows:
    """Return the rows of a space."""
    return Rows(SPACES[space])


def score(config: dict[str, Any]) -> float:
    """Return a made-up score that depends on every parameter."""
    parts = [
        {i: i * (ord(v) % 5) for i, v in enumerate(part)} if isinstance(part, list) else part
        for part in config.values()
    ]
    values = [value for part in parts for value in (part.values() if isinstance(part, dict) else (part,))]
    numbers = [float(v) if isinstance(v, int | float) else len(str(v)) / 4 + ord(str(v)[0]) % 5 for v in values]
    return float(np.cos(np.array(numbers)).sum())


@cache
def observed(space: str, goals: str) -> Observed:
    """Return observations of a space under some goals, with durations and candidates."""
    rows = rows_of(space)
    configs = list(
        {rows.space.config_hash(c): c for c in rows.space.sample_many(60, np.random.default_rng(0))}.values()
    )
    configs = configs[: min(OBSERVATIONS, len(configs) - 3)]
    columns = [
        [score(config) for config in configs],
        [-(score(config) ** 2) - i % 3 for i, config in enumerate(configs)],
    ]
    targets = 1 if goals == "one" else 2
    Y = torch.tensor(columns[:targets], dtype=torch.float64).T
    Y = (Y - Y.mean(0)) / Y.std(0)
    seconds = torch.linspace(1.0, 60.0, len(configs), dtype=torch.float64)
    return Observed(
        rows.encode(configs), Y, GOALS[goals], rows=rows, duration_s=seconds, total=len(configs), budget=40,
        candidates=rows.encode(rows.space.sample_many(24, np.random.default_rng(1))),
    )  # fmt: skip


@cache
def surrogate(space: str, goals: str, name: str = "gp") -> Surrogate:
    """Return a surrogate fitted to those observations."""
    made: Surrogate = SURROGATES.get(name)(rows_of(space))
    seen = observed(space, goals)
    made.fit(seen.X, seen.Y)
    return made


def without_candidates(seen: Observed) -> Observed:
    """Return the observations alone, as a caller may give them that knows nothing else."""
    return replace(seen, rows=None, duration_s=None, total=0, budget=None, candidates=None)
