"""Arrays to learn from, without a prepared data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.estimators import load_bundle
from omniforge.estimators.tabular.algorithm import ALGORITHMS, Algorithm, Problem


@pytest.fixture
def classes() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """150 rows of 6 columns in three classes that columns 0 and 1 tell apart; every prefix of 3 has all of them."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(3), 50)
    X = rng.normal(size=(150, 6)).astype(np.float32)
    X[:, 0] += 3 * (y == 1)
    X[:, 1] += 3 * (y == 2)
    return X, y


@pytest.fixture
def numbers() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """150 rows of 6 columns; the target is 1000 + 50 (x0 - x1) with a little noise."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 6)).astype(np.float32)
    y = 1000 + 50 * (X[:, 0] - X[:, 1]).astype(np.float64) + rng.normal(size=150)
    return X, y


@pytest.fixture
def make() -> Any:
    """Make an algorithm from the defaults of the space, with changes."""

    def build(name: str, problem: Problem, **changes: Any) -> Algorithm:
        prefix = f"algorithm.{name}."
        given = {"algorithm": name, **{prefix + path.replace("__", "."): value for path, value in changes.items()}}
        config = load_bundle("tabular").space.complete(given)
        settings = {path.removeprefix(prefix): value for path, value in config.items() if path.startswith(prefix)}
        return ALGORITHMS.get(name)(settings, problem)

    return build
