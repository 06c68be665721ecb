from __future__ import annotations

import json

import pandas as pd
from sklearn.datasets import load_diabetes, load_iris

from omniforge.data import ColumnProfile, DataProfile, profile_table


def test_round_trip_through_json(mixed: pd.DataFrame) -> None:
    for profile in (profile_table(mixed, "bought"), profile_table(mixed, "income", task="regression")):
        text = json.dumps(profile.to_dict(), allow_nan=False)
        assert DataProfile.from_dict(json.loads(text)) == profile


def test_classes_keep_their_type_through_json() -> None:
    frame = load_iris(as_frame=True).frame
    profile = DataProfile.from_dict(json.loads(json.dumps(profile_table(frame, "target").to_dict())))
    assert profile.classes == (0, 1, 2)
    assert all(type(label) is int for label in profile.classes)


def test_a_column_says_only_what_applies() -> None:
    values = ColumnProfile(name="a", kind="categorical", dtype="text", missing=0, distinct=2, top=(("x", 3),)).to_dict()
    assert values == {
        "name": "a",
        "kind": "categorical",
        "dtype": "text",
        "missing": 0,
        "distinct": 2,
        "top": [["x", 3]],
        "signal": 0.0,
    }


def test_features_are_the_used_columns(mixed: pd.DataFrame) -> None:
    profile = profile_table(mixed, "bought")
    assert [column.name for column in profile.features] == ["age", "income", "city", "children", "member", "joined"]


def test_meta_features_of_regression_and_classification_have_the_same_names() -> None:
    one = profile_table(load_iris(as_frame=True).frame, "target").meta_features()
    other = profile_table(load_diabetes(as_frame=True).frame, "target").meta_features()
    assert list(one) == list(other)
