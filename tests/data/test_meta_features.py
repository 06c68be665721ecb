from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from omniforge.data import profile_table
from omniforge.data.meta_features import meta_features


def test_values_of_a_known_table() -> None:
    found = meta_features(profile_table(load_iris(as_frame=True).frame, "target"))
    assert found["log_rows"] == pytest.approx(math.log10(150))
    assert found["log_columns"] == pytest.approx(math.log10(4))
    assert found["numeric_share"] == 1.0
    assert found["categorical_share"] == 0.0
    assert found["classes"] == pytest.approx(math.log2(3))
    assert found["class_entropy"] == pytest.approx(1.0)
    assert found["minority_share"] == pytest.approx(1.0)
    assert found["best_signal"] > 0.85


def test_shares(mixed: pd.DataFrame) -> None:
    found = meta_features(profile_table(mixed, "bought"))
    assert found["numeric_share"] == pytest.approx(2 / 6)
    assert found["boolean_share"] == pytest.approx(1 / 6)
    assert found["columns_with_missing_share"] == pytest.approx(2 / 6)
    missing = mixed[["age", "city"]].isna().sum().sum()
    assert found["missing_share"] == pytest.approx(missing / (6 * len(mixed)))


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_diabetes])
def test_all_are_finite_and_bounded(load: Any) -> None:
    for name, value in profile_table(load(as_frame=True).frame, "target").meta_features().items():
        assert isinstance(value, float), name
        assert -20.0 <= value <= 20.0, name


def test_like_tables_are_near_and_unlike_ones_far(mixed: pd.DataFrame) -> None:
    def distance(one: pd.DataFrame, other: pd.DataFrame, targets: tuple[str, str]) -> float:
        a, b = (profile_table(frame, name).meta_features() for frame, name in zip((one, other), targets, strict=True))
        return math.dist(a.values(), b.values())

    cancer = load_breast_cancer(as_frame=True).frame
    near = distance(cancer.iloc[::2], cancer.iloc[1::2], ("target", "target"))
    assert near < 0.5 * distance(cancer, mixed, ("target", "bought"))
