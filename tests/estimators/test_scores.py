from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.estimators import EstimatorError
from omniforge.estimators.scores import as_scores


@pytest.mark.parametrize("result", [0.25, np.float32(0.25), np.array(0.25), {"score": 0.25}])
def test_numbers_and_mappings_become_named_floats(result: Any) -> None:
    scores = as_scores(result, metric="score", owner="Mine", stage="run")
    assert scores == {"score": 0.25}
    assert type(scores["score"]) is float


def test_a_torch_scalar_is_a_number() -> None:
    import torch

    assert as_scores(torch.tensor(0.5), metric="f1", owner="Mine", stage="run") == {"f1": 0.5}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "returned None"),
        ("good", "returned 'good'"),
        ({}, "returned no score"),
        ({"f1": None}, "returned None for 'f1'"),
        ({1: 0.5}, "returned 0.5 for 1"),
        (float("nan"), "returned nan for 'score'"),
        ({"f1": float("inf")}, "returned inf for 'f1'"),
        (np.array([0.1, 0.2]), "returned array"),
    ],
)
def test_anything_else_is_an_error_that_shows_it(result: Any, said: str) -> None:
    with pytest.raises(EstimatorError, match=r"Mine.calculate_score") as caught:
        as_scores(result, metric="score", owner="Mine", stage="calculate_score")
    assert said in caught.value.message
    assert "expected a finite number" in caught.value.message
