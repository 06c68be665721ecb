from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.data.tidying import tidy_table
from omniforge.errors import DataError


def tidy(values: Any, dtype: Any = None) -> pd.Series[Any]:
    return tidy_table(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), source="t")["x"]


def test_plain_types_stay() -> None:
    for dtype in ("int64", "float64", "uint8", "float32", "bool"):
        assert tidy([0, 1, 1], dtype).dtype == dtype


def test_texts_are_stripped_and_blanks_are_missing() -> None:
    assert tidy([" a", "b ", "  ", "?", "NaN", None, "c"]).tolist() == ["a", "b", None, None, None, None, "c"]


@pytest.mark.parametrize("dtype", ["string", "category", "string[pyarrow]"])
def test_text_like_types_become_objects(dtype: str) -> None:
    result = tidy(["a", None, "b"], dtype)
    assert result.dtype == object
    assert result.tolist() == ["a", None, "b"]


def test_declared_categories_stay_categories_even_if_numbers() -> None:
    assert tidy([3, 1, 3], "category").tolist() == ["3", "1", "3"]


def test_nullable_types() -> None:
    assert tidy([1, 2], "Int64").dtype == np.int64
    assert tidy([1, None], "Int64").isna().tolist() == [False, True]
    assert tidy([True, False], "boolean").dtype == bool
    assert tidy([True, None], "boolean").tolist() == [True, None]
    assert tidy([1.5, None], "double[pyarrow]").dtype == float


def test_objects_of_one_type_become_that_type() -> None:
    assert tidy([1, 2, 3], object).dtype == np.int64
    assert tidy([1, None, 3], object).dtype == float
    assert tidy([1, 2.5], object).tolist() == [1.0, 2.5]
    assert tidy([True, False], object).dtype == bool
    assert tidy([True, None], object).tolist() == [True, None]
    assert tidy([decimal.Decimal("1.25"), None], object).tolist()[0] == 1.25
    assert tidy([datetime.date(2020, 1, 2), None], object).dtype.kind == "M"


def test_mixed_objects_become_texts() -> None:
    assert tidy([1, "a", 2.0], object).tolist() == ["1", "a", "2"]
    assert tidy([True, "maybe"], object).tolist() == ["True", "maybe"]


def test_time_zones_become_utc() -> None:
    zoned = pd.Series(pd.to_datetime(["2020-01-01 01:00"])).dt.tz_localize("Europe/Rome")
    assert tidy(zoned).tolist() == [pd.Timestamp("2020-01-01 00:00")]


def test_durations_become_seconds() -> None:
    assert tidy(pd.to_timedelta(["1min", "2h"])).tolist() == [60.0, 7200.0]


def test_names_are_texts_and_rows_are_numbered() -> None:
    frame = pd.DataFrame({0: [1, 2], " b ": [3, 4]}, index=[7, 9])
    frame.attrs["source"] = "f.csv"
    result = tidy_table(frame, source="t")
    assert list(result.columns) == ["0", "b"]
    assert list(result.index) == [0, 1]
    assert result.attrs["source"] == "f.csv"
    assert list(frame.columns) == [0, " b "]


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {}], [b"a", b"b"], [1j, 2j]])
def test_what_is_no_cell_value_is_refused(values: Any) -> None:
    with pytest.raises(DataError, match=r"column 'x'.*expected") as caught:
        tidy(values)
    assert "--drop x" in str(caught.value.hint)
