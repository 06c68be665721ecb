from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.errors import UnknownNameError
from omniforge.estimators import load_bundle
from omniforge.estimators.tabular.algorithm import ALGORITHMS, Problem, checkpoints, row_checkpoints

THREE = Problem("classification", 3, seed=1)
VALUE = Problem("regression", 0, seed=1)


def test_the_registry_and_the_space_have_the_same_algorithms() -> None:
    space = load_bundle("tabular").space
    for name in ALGORITHMS:
        config = space.complete({"algorithm": name})
        assert any(path.startswith(f"algorithm.{name}.") for path in config)
    for seed in range(30):
        assert space.sample(np.random.default_rng(seed))["algorithm"] in ALGORITHMS


def test_an_unknown_algorithm_has_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        ALGORITHMS.get("lightgmb")
    assert "lightgbm" in str(caught.value)


@pytest.mark.parametrize(
    ("total", "percent", "expected"),
    [
        (100, 100, [(10 * k, 10 * k) for k in range(1, 11)]),
        (200, 25, [(20, 10), (40, 20), (50, 25)]),
        (3, 100, [(1, 30), (2, 60), (3, 100)]),
        (1, 7, [(1, 7)]),
        (100, 1, [(1, 1)]),
    ],
)
def test_checkpoints(total: int, percent: int, expected: list[tuple[int, int]]) -> None:
    assert checkpoints(total, percent) == expected


def test_row_checkpoints_have_a_row_of_each_class() -> None:
    assert row_checkpoints(1000, 100, problem=THREE) == [(100, 10), (330, 33), (1000, 100)]
    assert row_checkpoints(12, 100, problem=THREE) == [(3, 10), (4, 33), (12, 100)]
    assert row_checkpoints(1000, 20, problem=VALUE) == [(100, 10), (200, 20)]


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_algorithm_learns_steps_saves_and_is_deterministic(
    name: str, task: str, make: Any, classes: Any, numbers: Any, tmp_path: Path
) -> None:
    problem, (X, y) = (THREE, classes) if task == "classification" else (VALUE, numbers)
    train, rest = slice(0, 120), slice(120, None)
    made, twin = make(name, problem), make(name, problem)
    steps = list(made.steps(X[train], y[train], 100))
    assert steps == sorted(set(steps))
    assert steps[-1] == 100
    raw = made.predict_raw(X[rest])
    if task == "classification":
        assert raw.shape == (30, 3)
        assert np.mean(raw.argmax(axis=1) == y[rest]) > 0.6
    else:
        assert raw.shape == (30, 1)
        assert np.std(raw[:, 0] - y[rest]) < 0.8 * np.std(y[rest])
    list(twin.steps(X[train], y[train], 100))
    np.testing.assert_array_equal(twin.predict_raw(X[rest]), raw)
    made.save(tmp_path)
    loaded = type(made).load(tmp_path, made.settings, problem)
    np.testing.assert_allclose(loaded.predict_raw(X[rest]), raw, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_less_budget_is_less_training(name: str, make: Any, classes: Any) -> None:
    X, y = classes
    made = make(name, THREE)
    assert list(made.steps(X, y, 15)) == [10, 15]
    assert made.predict_raw(X).shape == (150, 3)


def test_the_preload_list_leaves_nothing_heavy_to_import() -> None:
    """A fit in a process that has the preloaded modules loads hardly a module more: warm forks are warm."""
    code = """
import importlib, sys
from omniforge.estimators import load_bundle
from omniforge.estimators.tabular.algorithm import ALGORITHMS, Problem
bundle = load_bundle("tabular")
for name in bundle.preload:
    importlib.import_module(name)
import numpy as np
X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
y = np.tile([0, 1], 30)
before = set(sys.modules)
for name in ALGORITHMS:
    prefix = f"algorithm.{name}."
    config = bundle.space.complete({"algorithm": name})
    settings = {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}
    for _ in ALGORITHMS.get(name)(settings, Problem("classification", 2)).steps(X, y, 10):
        pass
print(len(set(sys.modules) - before))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) < 20
