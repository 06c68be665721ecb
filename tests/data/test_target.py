from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.data.target import read_target
from omniforge.data.tidying import tidy_table
from omniforge.errors import DataError, InputError, UnknownNameError


def target(values: Any, task: str = "auto", dtype: str | None = None) -> Any:
    frame = tidy_table(pd.DataFrame({"y": pd.Series(values, dtype=dtype)}), source="t.csv")
    return read_target(frame["y"], task=task, source="t.csv")


def refused(values: Any, task: str = "auto") -> DataError:
    with pytest.raises(DataError) as caught:
        target(values, task)
    assert isinstance(caught.value, InputError)
    assert "t.csv: the target 'y'" in caught.value.message
    return caught.value


class TestTask:
    @pytest.mark.parametrize(
        ("values", "task"),
        [
            (["a", "b"] * 10, "classification"),
            ([True, False] * 10, "classification"),
            ([0, 1] * 10, "classification"),
            ([0.0, 1.0] * 10, "classification"),
            ([0.0, 1.0, None] * 10, "classification"),
            (list(range(20)) * 5, "classification"),
            (list(range(21)) * 5, "regression"),
            (list(range(20)), "regression"),
            ([1, 2, 3, 4] * 4, "regression"),
            ([0.5, 1.5] * 10, "regression"),
            (list(np.linspace(0, 1, 50)), "regression"),
            ([str(x) for x in range(100)], "regression"),
            (["0", "1"] * 10, "classification"),
        ],
    )
    def test_auto(self, values: Any, task: str) -> None:
        assert target(values).task == task

    def test_asked(self) -> None:
        assert target([0, 1] * 10, "regression").task == "regression"
        assert target([0.5, 1.5] * 10, "classification").classes == (0.5, 1.5)

    def test_whole_numbers_taken_as_classes_are_a_warning(self) -> None:
        assert "3 whole numbers" in target([1, 2, 3] * 10).warnings[0]
        assert target([0, 1] * 10).warnings == ()

    def test_unknown(self) -> None:
        with pytest.raises(UnknownNameError, match="no task named 'clasification'"):
            target([0, 1] * 10, "clasification")


class TestClasses:
    @pytest.mark.parametrize(
        ("values", "classes"),
        [
            (["no", "yes"] * 5, ("no", "yes")),
            ([1, 0] * 5, (0, 1)),
            ([2.0, 10.0, None] * 5, (2, 10)),
            ([True, False] * 5, (False, True)),
            ([True, None, False] * 5, (False, True)),
            (["1", "0"] * 5, ("0", "1")),
        ],
    )
    def test_they_keep_their_type(self, values: Any, classes: Any) -> None:
        found = target(values, "classification")
        assert found.classes == classes
        assert [type(label) for label in found.classes] == [type(label) for label in classes]
        known = [value for value in values if value is not None]
        assert [found.classes[code] for code in found.y] == known
        assert found.y.dtype == np.int64

    def test_counts(self) -> None:
        assert target(["b", "a", "b"] * 5).class_counts == (5, 10)

    def test_rows_without_a_target_are_left_out_with_a_warning(self) -> None:
        found = target(["a", None, "b", "?"] * 5)
        assert found.present.tolist() == [True, False, True, False] * 5
        assert "10 rows without a target" in found.warnings[0]

    def test_a_class_with_two_rows_is_a_warning(self) -> None:
        assert "'rare'" in target(["a", "b"] * 10 + ["rare"] * 2).warnings[0]


class TestRegression:
    def test_values(self) -> None:
        found = target([0.5, None, 1.5] * 5)
        assert found.y.tolist() == [0.5, 1.5] * 5
        assert found.y.dtype == np.float64
        assert found.classes is None
        assert found.class_counts is None


class TestRefusals:
    def test_constant(self) -> None:
        assert "always is 'a'" in refused(["a"] * 20).message
        assert "always is 1.5" in refused([1.5] * 20).message
        assert "always is 1;" in refused([1.0] * 20).message

    def test_too_few_rows(self) -> None:
        assert "has 3 rows with a value; expected at least 10" in refused(["a", "b", "a"]).message
        assert "has 0 rows" in refused([None] * 20).message

    def test_a_class_with_one_row(self) -> None:
        error = refused(["a", "b"] * 10 + ["odd"])
        assert "a class with one row: 'odd' (row 21)" in error.message
        assert "regression" not in str(error.hint)

    def test_a_numeric_class_with_one_row_may_be_regression(self) -> None:
        assert "--task regression" in str(refused([3, 4] * 20 + [9]).hint)

    def test_too_many_classes(self) -> None:
        assert "1,500 classes" in refused([f"u{i}" for i in range(1500)]).message

    def test_texts_for_regression(self) -> None:
        error = refused(["1", "2", "abc"] * 5, "regression")
        assert "'abc' is not a number (row 3)" in error.message

    def test_mixed_types(self) -> None:
        error = refused([*(str(x * 0.5) for x in range(100)), "unknown"])
        assert "mixes types" in error.message
        assert "'unknown' (row 101)" in error.message

    def test_infinite(self) -> None:
        assert "infinite in row 2" in refused([0.5, np.inf, *np.linspace(0, 1, 20)]).message
        assert "infinite" in refused([0.5, np.inf, 2.0] * 5, "classification").message

    def test_dates(self) -> None:
        assert "dates" in refused(list(pd.date_range("2020-01-01", periods=20))).message
