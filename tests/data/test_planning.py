from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.data import DataProfile, FeaturePlan, profile_table
from omniforge.data.planning import MAX_ONEHOT_CATEGORIES, MAX_ONEHOT_WIDTH, MAX_ORDINAL_CATEGORIES, fit_plan
from omniforge.errors import DataError, UnknownNameError


@pytest.fixture
def profile(mixed: pd.DataFrame) -> DataProfile:
    return profile_table(mixed, "bought")


def plan_of(frame: pd.DataFrame, encoding: str, **kwargs: Any) -> FeaturePlan:
    return fit_plan(frame, profile_table(frame, "y", **kwargs), encoding)


def with_target(**columns: Any) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return pd.DataFrame({**columns, "y": [0, 1] * (n // 2)})


def test_ordinal_features(mixed: pd.DataFrame, profile: DataProfile) -> None:
    plan = fit_plan(mixed, profile, "ordinal")
    assert plan.feature_names == [
        *("age", "age missing", "income", "city", "children", "member"),
        *("joined.year", "joined.month", "joined.day", "joined.weekday", "joined.elapsed_days"),
    ]
    assert plan.columns == ["age", "income", "city", "children", "member", "joined"]
    assert plan.categorical_features == {3: 5, 4: 5}
    assert plan.width == len(plan.feature_names)


def test_onehot_features(mixed: pd.DataFrame, profile: DataProfile) -> None:
    plan = fit_plan(mixed, profile, "onehot")
    assert plan.feature_names[3:9] == ["city=Rome", "city=Oslo", "city=Bern", "city=Lima", "city missing", "children=0"]
    assert plan.categorical_features == {}


def test_ordinal_numbers_stay_as_they_are(mixed: pd.DataFrame, profile: DataProfile) -> None:
    out = fit_plan(mixed, profile, "ordinal").transform(mixed)
    known = mixed["age"].notna()
    np.testing.assert_array_equal(out[known, 0], mixed["age"][known].astype(np.float32))
    assert set(out[~known, 0]) == {np.float32(mixed["age"].median())}
    np.testing.assert_array_equal(out[:, 1], ~known)


def test_onehot_numbers_are_standardized(mixed: pd.DataFrame, profile: DataProfile) -> None:
    out = fit_plan(mixed, profile, "onehot").transform(mixed)
    assert out[:, 2].mean() == pytest.approx(0, abs=1e-5)
    assert out[:, 2].std() == pytest.approx(1, abs=1e-5)


def test_flags_are_not_scaled() -> None:
    frame = with_target(flag=[1] + [0] * 199, x=np.arange(200) * 0.3)
    assert set(plan_of(frame, "onehot").transform(frame)[:, 0]) == {0.0, 1.0}


def test_categories_are_coded_by_frequency_then_text() -> None:
    frame = with_target(c=["b", "a", "c", "c"] * 5)
    assert plan_of(frame, "ordinal").to_dict()["columns"][0]["categories"] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("encoding", "limit"), [("ordinal", MAX_ORDINAL_CATEGORIES), ("onehot", MAX_ONEHOT_CATEGORIES)]
)
def test_many_categories_keep_the_most_frequent_and_other(encoding: str, limit: int) -> None:
    values = [f"v{i:03d}" for i in range(400) for _ in range(2)] + ["top"] * 10
    frame = with_target(c=values, x=np.random.default_rng(0).random(len(values)))
    plan = plan_of(frame, encoding)
    column = plan.to_dict()["columns"][0]
    assert len(column["categories"]) == limit
    assert column["categories"][0] == "top"
    out = plan.transform(pd.DataFrame({"c": ["top", "v399", "new"], "x": 0.0}))
    np.testing.assert_array_equal(out[1], out[2])
    if encoding == "onehot":
        assert "c other" in plan.feature_names
        assert (out[:, : limit + 1].sum(axis=1) == 1).all()
    else:
        assert out[:, 0].tolist() == [0, limit, limit]


def test_onehot_width_is_bounded() -> None:
    rng = np.random.default_rng(0)
    columns = {f"c{i}": [f"v{v}" for v in rng.integers(0, 60, 400)] for i in range(100)}
    assert plan_of(with_target(**columns), "onehot").width <= MAX_ONEHOT_WIDTH + 200


def test_numbers_as_categories() -> None:
    frame = with_target(zip=[10001.0, 10002.0, 10001.0, 10003.0] * 5)
    plan = plan_of(frame, "onehot", categorical=["zip"])
    assert plan.feature_names == ["zip=10001", "zip=10002", "zip=10003"]


def test_only_training_rows_are_looked_at(mixed: pd.DataFrame, profile: DataProfile) -> None:
    plan = fit_plan(mixed.head(100), profile, "ordinal")
    fill = plan.to_dict()["columns"][0]["fill"]
    assert fill == [mixed["age"].head(100).median()]


def test_a_column_without_values_in_training_still_works(mixed: pd.DataFrame, profile: DataProfile) -> None:
    rows = mixed.copy()
    rows["age"], rows["city"], rows["joined"] = np.nan, None, pd.NaT
    for encoding in ("ordinal", "onehot"):
        assert np.isfinite(fit_plan(rows, profile, encoding).transform(mixed)).all()


def test_text_dates() -> None:
    frame = with_target(when=["31/12/2020", "15/01/2021", None, "16/01/2021"] * 5)
    plan = plan_of(frame, "ordinal")
    assert plan.feature_names == [
        "when.year",
        "when.month",
        "when.day",
        "when.weekday",
        "when.elapsed_days",
        "when missing",
    ]
    assert plan.transform(frame.head(2))[:, :3].tolist() == [[2020, 12, 31], [2021, 1, 15]]


def test_round_trip(mixed: pd.DataFrame, profile: DataProfile) -> None:
    plan = fit_plan(mixed, profile, "onehot")
    back = FeaturePlan.from_dict(json.loads(json.dumps(plan.to_dict(), allow_nan=False)))
    assert back == plan
    np.testing.assert_array_equal(back.transform(mixed), plan.transform(mixed))


def test_what_is_no_plan() -> None:
    with pytest.raises(DataError, match="version 7"):
        FeaturePlan.from_dict({"version": 7, "encoding": "ordinal"})


def test_unknown_encoding(mixed: pd.DataFrame, profile: DataProfile) -> None:
    with pytest.raises(UnknownNameError, match="no encoding named 'onehott'"):
        fit_plan(mixed, profile, "onehott")
