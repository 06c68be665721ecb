"""The knowledge base on SQLite and PostgreSQL, and the likeness of data sets."""

from __future__ import annotations

import math

import pytest
from conformance.store_jobs import KnowledgeSuite
from hypothesis import given
from hypothesis import strategies as st

from omniforge.store.knowledge import distances

features = st.dictionaries(st.sampled_from("abcd"), st.floats(-1e6, 1e6), min_size=1)


class TestKnowledge(KnowledgeSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""


def test_each_feature_counts_alike_whatever_its_scale() -> None:
    rows = [{"rows": 1000.0, "missing": 0.9}, {"rows": 9000.0, "missing": 0.1}]
    far_in_missing, far_in_rows = distances({"rows": 1000.0, "missing": 0.1}, rows)
    assert far_in_missing == pytest.approx(far_in_rows)


def test_rows_without_a_common_feature_are_infinitely_far() -> None:
    assert distances({"a": 1.0}, [{"b": 1.0}, {}, {"a": 1.0}]) == [math.inf, math.inf, 0.0]


@pytest.mark.property
@given(asked=features, rows=st.lists(features, max_size=5))
def test_the_same_data_have_no_distance_and_none_is_negative(
    asked: dict[str, float], rows: list[dict[str, float]]
) -> None:
    away = distances(asked, [*rows, asked])
    assert away[-1] == 0
    assert all(distance >= 0 for distance in away)
