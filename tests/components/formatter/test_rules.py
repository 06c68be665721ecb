from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from omniforge.components.formatter.rules import (
    FEW_ROWS_FOR_NETWORKS,
    MANY_COLUMNS_FOR_NEIGHBOURS,
    MANY_ROWS_FOR_NEIGHBOURS,
    algorithms_to_leave_out,
    memory_limit,
    narrow,
    time_limit,
)
from omniforge.data import DataProfile, profile_table
from omniforge.estimators import load_bundle
from omniforge.search import SearchSpace


def profile(rows: int, columns: int = 3) -> DataProfile:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, columns)), columns=[f"x{i}" for i in range(columns)])
    frame["y"] = rng.integers(0, 2, size=rows)
    return profile_table(frame, "y", task="classification")


@pytest.mark.parametrize(
    ("rows", "columns", "left_out"),
    [
        (FEW_ROWS_FOR_NETWORKS, 3, []),
        (FEW_ROWS_FOR_NETWORKS - 1, 3, ["mlp"]),
        (200, MANY_COLUMNS_FOR_NEIGHBOURS + 1, ["knn"]),
        (MANY_ROWS_FOR_NEIGHBOURS + 1, 3, ["knn"]),
    ],
)
def test_what_would_waste_trials_is_left_out(rows: int, columns: int, left_out: list[str]) -> None:
    assert [choice.value for choice in algorithms_to_leave_out(profile(rows, columns))] == left_out


def test_a_space_is_narrowed_and_the_reason_given() -> None:
    space, reasons = narrow(load_bundle("tabular").space, profile(60))
    assert "mlp" not in space.parameters["algorithm"].domain.values
    assert "knn" in space.parameters["algorithm"].domain.values
    assert reasons == ["mlp is left out: 60 rows are too few for a neural network."]


def test_the_last_algorithm_and_another_space_stay_as_they_are(space: SearchSpace) -> None:
    only = SearchSpace.from_dict({"algorithm": {"type": "choice", "range": ["mlp"]}})
    fixed = SearchSpace.from_dict({"algorithm": {"type": "constant", "value": "mlp"}})
    other = SearchSpace.from_dict({"depth": {"type": "int", "range": [1, 3]}})
    for given in (only, fixed, other, space):
        assert narrow(given, profile(60)) == (given, [])


def test_limits_grow_with_the_data_within_bounds() -> None:
    small, large = memory_limit(1000, 10, asked_mb=None), memory_limit(1_000_000, 100, asked_mb=None)
    assert small.value < 2 * 2**30 < large.value
    assert f"{large.value / 2**30:.1f} GiB" in large.reason
    assert time_limit(100, 1, asked_s=None).value == 120
    assert time_limit(200_000, 60, asked_s=None).value == 600
    assert time_limit(10**7, 1000, asked_s=None).value == 3600


def test_what_was_asked_for_counts() -> None:
    assert memory_limit(10**9, 10**3, asked_mb=64).value == 64 * 2**20
    assert time_limit(10**9, 10**3, asked_s=1.5).value == 1.5
    assert "as asked" in memory_limit(1, 1, asked_mb=64).reason
    assert "1.5 s, as asked" in time_limit(1, 1, asked_s=1.5).reason
