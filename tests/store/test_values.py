"""JSON on its way into the database."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.errors import SpecError
from omniforge.store.values import dumps, finite_rewards, require_json, with_nulls, without_nulls

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.property
@given(json_values)
def test_json_comes_back_as_it_was(value: object) -> None:
    assert json.loads(dumps(value)) == value


def test_numpy_scalars_are_numbers_and_arrays_are_not_json() -> None:
    assert json.loads(dumps({"n": np.int64(3), "b": np.bool_(True)})) == {"n": 3, "b": True}
    with pytest.raises(TypeError, match="ndarray has no JSON form"):
        dumps(np.zeros(2))


@pytest.mark.parametrize("value", [{"x": math.inf}, {"x": date(2026, 1, 1)}, {"x": {1, 2}}])
def test_what_is_not_json_is_refused_by_name(value: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"The plan = .* is not JSON"):
        require_json(value, what="The plan")


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(SpecError) as caught:
        require_json(["a" * 10_000, math.nan], what="The plan")
    assert len(str(caught.value)) < 400


def test_rewards_become_floats() -> None:
    given_rewards: dict[str, Any] = {"score": np.float32(0.5), "count": 3, "text": "7"}
    assert finite_rewards(given_rewards, task_id=1) == {"score": 0.5, "count": 3.0, "text": 7.0}
    assert finite_rewards(None, task_id=1) == {}
    with pytest.raises(SpecError, match="'score' of task 8 is nan"):
        finite_rewards({"score": math.nan}, task_id=8)


def test_curves_keep_what_diverged_as_nan() -> None:
    back = without_nulls(json.loads(dumps(with_nulls({"loss": math.inf, "score": 1}))))
    assert back["score"] == 1.0
    assert math.isnan(back["loss"])
