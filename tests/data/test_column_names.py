from __future__ import annotations

from typing import Any

import pytest

from omniforge.data.column_names import (
    check_choices,
    check_known,
    check_unique,
    drop_option,
    looks_like_data,
    near_names,
)
from omniforge.errors import DataError


def test_unique_names_pass() -> None:
    check_unique(["a", "b"], "t.csv")


def test_doubled_names_are_listed_with_their_places() -> None:
    with pytest.raises(DataError, match=r"'x' is column 1 and 2 and 4; 'y' is column 3 and 5"):
        check_unique(["x", "x", "y", "x", "y"], "t.csv")


def test_doubled_names_that_are_dropped_pass() -> None:
    check_unique(["x", "x", "y"], "t.csv", drop=["x"])


def test_numbers_as_doubled_names_are_a_missing_header() -> None:
    with pytest.raises(DataError) as caught:
        check_unique(["0", "0", "1"], "t.csv")
    assert "looks like data" in str(caught.value.hint)


def test_an_unknown_name_says_its_role_and_the_columns() -> None:
    with pytest.raises(
        DataError, match=r"t\.csv has no column 'Prize' \(the target\).*\(2\) are: price, size"
    ) as caught:
        check_known(["Prize"], ["price", "size"], source="t.csv", role="the target")
    assert str(caught.value.hint).startswith("Did you mean 'price'")


def test_near_names_ignore_case_and_are_none_for_strangers() -> None:
    assert near_names("INCOME", ["income", "age"]) == "Did you mean 'income'?"
    assert near_names("zzz", ["income", "age"]) is None


@pytest.mark.parametrize(("names", "expected"), [(["1", "2.5", "a"], True), (["a", "1"], False), (["a"], False)])
def test_looks_like_data(names: list[str], expected: Any) -> None:
    assert looks_like_data(names) is expected


def test_contradicting_choices() -> None:
    with pytest.raises(DataError, match="'y' is the target"):
        check_choices("y", drop=["y"])
    with pytest.raises(DataError, match="'a' is to be left out and"):
        check_choices("y", drop=["a"], categorical=["a"])
    check_choices("y", drop=["a"], categorical=["b"])


def test_options_are_quoted_for_a_shell() -> None:
    assert drop_option(["a", "two words"]) == "--drop a --drop 'two words'"
    assert drop_option(["a"], option="--categorical") == "--categorical a"
