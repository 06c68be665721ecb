from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from omniforge.estimators.tabular.algorithm import Problem

THREE = Problem("classification", 3, seed=2)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_native_model_says_what_predict_raw_says(task: str, make: Any, classes: Any, numbers: Any) -> None:
    problem, (X, y) = (THREE, classes) if task == "classification" else (Problem("regression", 0), numbers)
    made = make("mlp", problem)
    list(made.steps(X, y, 20))
    module = made.native_model
    assert isinstance(module, torch.nn.Module)
    assert not module.training
    with torch.inference_mode():
        np.testing.assert_allclose(module(torch.from_numpy(X)).numpy(), made.predict_raw(X), rtol=1e-6)


def test_the_space_shapes_the_network(make: Any, classes: Any) -> None:
    X, y = classes
    made = make("mlp", THREE, layers=3, width=20, activation="silu")
    list(made.steps(X, y, 10))
    linear = [layer for layer in made.network.body if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(6, 20), (20, 20), (20, 20), (20, 3)]
    assert sum(isinstance(layer, torch.nn.SiLU) for layer in made.network.body) == 3


def test_training_leaves_torchs_global_state_alone(make: Any, classes: Any) -> None:
    X, y = classes
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    list(make("mlp", THREE).steps(X, y, 20))
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_seeds_differ(make: Any, classes: Any) -> None:
    X, y = classes
    one, other = make("mlp", THREE), make("mlp", Problem("classification", 3, seed=9))
    for made in (one, other):
        list(made.steps(X, y, 10))
    assert not np.array_equal(one.predict_raw(X), other.predict_raw(X))


def test_a_training_that_diverges_says_so(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make("mlp", Problem("regression", 0))
    with pytest.raises(FloatingPointError, match="epoch 1"):
        list(made.steps(np.where(X > 2, np.float32(np.inf), X), y, 100))
