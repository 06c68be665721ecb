from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance.bo_problems import rows_of

from omniforge.search import SearchSpace
from omniforge.search.bo.preference import Preference
from omniforge.search.bo.rows import Rows


@pytest.mark.parametrize(
    "declared",
    [
        "x: {type: float, range: [0.0, 2.0], prior: {normal: {mean: 0.5, std: 0.4}}}",
        "x: {type: float, range: [0.001, 1.0], log: true, prior: {normal: {mean: 0.01, std: 0.7}}}",
        "x: {type: choice, range: [a, b, c], weights: [1, 2, 5]}",
        "x: {type: ordinal, range: [1, 2, 4, 8], weights: [4, 1, 1, 2]}",
    ],
)
def test_it_is_a_density_relative_to_a_uniform_one(declared: str) -> None:
    rows = Rows(SearchSpace.from_yaml(declared))
    every = rows.every
    X = torch.linspace(0.0, 1.0, 4001, dtype=torch.float64)[:, None] if every is None else every
    assert float(Preference(rows)(X).exp().mean()) == pytest.approx(1.0, abs=2e-3)


def test_what_is_not_active_or_not_declared_does_not_count() -> None:
    rows = rows_of("conditional")
    a = {"kind": "a", "kind.a.x": 0.3, "rate": 0.1, "flag": False}
    b = {"kind": "b", "kind.b.z": 50, "rate": 0.1, "flag": False}
    values = Preference(rows)(rows.encode([a, {**a, "rate": 0.9}, {**a, "kind.a.x": 0.9}, b])).tolist()
    assert values[0] == values[1]
    assert values[0] > values[2]
    assert values[3] == pytest.approx(float(np.log(0.5)))
    assert Preference(rows_of("numeric")).indifferent
    assert not Preference(rows).indifferent
