from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from omniforge.data import DataProfile, profile_table, read_table
from omniforge.data.profiling import moments
from omniforge.errors import DataError, InputError


def refused(frame: pd.DataFrame, target: str = "y", **kwargs: Any) -> DataError:
    frame.attrs["source"] = "t.csv"
    with pytest.raises(DataError) as caught:
        profile_table(frame, target, **kwargs)
    assert isinstance(caught.value, InputError)
    return caught.value


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({"a": rng.random(60), "b": rng.choice(["u", "v"], 60), "y": ["n", "p"] * 30})


def test_kinds_of_a_mixed_table(mixed: pd.DataFrame) -> None:
    kinds = {column.name: column.kind for column in profile_table(mixed, "bought").columns}
    assert kinds == {
        "ref": "identifier",
        "age": "numeric",
        "income": "numeric",
        "city": "categorical",
        "children": "categorical",
        "member": "boolean",
        "joined": "datetime",
        "branch": "constant",
    }


def test_a_file_has_the_same_profile_as_the_table(mixed: pd.DataFrame, mixed_csv: Path) -> None:
    def comparable(profile: DataProfile) -> Any:
        return [(column.name, column.kind, column.missing, column.distinct) for column in profile.columns]

    assert comparable(profile_table(read_table(mixed_csv), "bought")) == comparable(profile_table(mixed, "bought"))


def test_statistics(mixed: pd.DataFrame) -> None:
    age = next(column for column in profile_table(mixed, "bought").columns if column.name == "age")
    assert age.mean == pytest.approx(mixed["age"].mean())
    assert age.std == pytest.approx(mixed["age"].std(ddof=0))
    assert (age.minimum, age.maximum) == (mixed["age"].min(), mixed["age"].max())
    assert age.missing == mixed["age"].isna().sum()
    assert age.signal > 0.4


def test_frequent_categories(mixed: pd.DataFrame) -> None:
    city = next(column for column in profile_table(mixed, "bought").columns if column.name == "city")
    assert city.top[0] == ("Rome", int((mixed["city"] == "Rome").sum()))
    assert len(city.top) == 4


def test_the_table_is_not_changed(mixed: pd.DataFrame) -> None:
    before = mixed.copy(deep=True)
    profile_table(mixed, "bought", drop=["ref"])
    pd.testing.assert_frame_equal(mixed, before)


def test_warnings_say_what_was_decided(mixed: pd.DataFrame) -> None:
    warnings = " | ".join(profile_table(mixed, "bought").warnings)
    assert "'ref' has 400 different texts" in warnings
    assert "'children' has 4 codes" in warnings
    assert "a column has the same value in every row and is left out: 'branch'" in warnings


def test_drop_and_categorical(mixed: pd.DataFrame) -> None:
    profile = profile_table(mixed, "bought", drop=["income", "joined"], categorical=["age"])
    assert profile.dropped == ("income", "joined")
    kinds = {column.name: column.kind for column in profile.columns}
    assert kinds["age"] == "categorical"
    assert "income" not in kinds


def test_a_leak_and_repeated_rows_are_warnings(table: pd.DataFrame) -> None:
    table["copy"] = table["y"].map({"n": 0.5, "p": 1.5})
    table = pd.concat([table, table.head(20)])
    profile = profile_table(table, "y")
    assert profile.duplicate_rows == 20
    assert any("'copy' alone determines the target" in warning for warning in profile.warnings)
    assert any("20 of 80 rows repeat" in warning for warning in profile.warnings)


@pytest.mark.parametrize(
    ("load", "task", "classes"),
    [
        (load_wine, "classification", (0, 1, 2)),
        (load_breast_cancer, "classification", (0, 1)),
        (load_diabetes, "regression", None),
    ],
)
def test_bundled_data_needs_no_option(load: Any, task: str, classes: Any) -> None:
    frame = load(as_frame=True).frame
    profile = profile_table(frame, "target")
    assert (profile.task, profile.classes, profile.rows) == (task, classes, len(frame))
    assert len(profile.features) == frame.shape[1] - 1


class TestRefusals:
    def test_all_missing(self, table: pd.DataFrame) -> None:
        error = refused(table.assign(empty=None))
        assert error.message == ("t.csv: column 'empty' has no value in any of its 60 rows; expected at least one.")
        assert error.hint == "To leave it out: --drop empty."

    def test_infinities(self, table: pd.DataFrame) -> None:
        table.loc[4, "a"] = np.inf
        error = refused(table)
        assert "column 'a' has 1 infinite value, the first in row 5" in error.message
        assert "--drop a" in str(error.hint)

    def test_rows_are_those_of_the_file(self, table: pd.DataFrame) -> None:
        table.loc[:9, "y"] = None
        table.loc[20, "a"] = np.inf
        assert "the first in row 21;" in refused(table).message

    def test_mixed_types(self, table: pd.DataFrame) -> None:
        table["m"] = [str(i) if i % 2 else f"t{i}" for i in range(60)]
        error = refused(table)
        assert "column 'm' mixes types: 30 of 60" in error.message
        assert "--drop m" in str(error.hint)
        assert "--categorical m" in str(error.hint)
        assert profile_table(table, "y", categorical=["m"]).features[-1].kind == "categorical"
        assert "m" not in [column.name for column in profile_table(table, "y", drop=["m"]).columns]

    def test_200_000_categories(self) -> None:
        frame = pd.DataFrame({"u": [f"u{i}" for i in range(200_000)], "a": 1.5, "y": ["n", "p"] * 100_000})
        frame["a"] = np.arange(200_000) % 7
        error = refused(frame)
        assert "column 'u' has 200,000 different texts, such as 'u0'; expected at most 50,000" in error.message
        assert "--categorical u" in str(error.hint)

    def test_all_problems_in_one_message(self, table: pd.DataFrame) -> None:
        table["two words"] = None
        table["i"] = [np.inf] + [float(i) for i in range(59)]
        error = refused(table)
        assert "'two words'" in error.message
        assert "'i'" in error.message
        assert "--drop 'two words' --drop i" in str(error.hint)

    def test_duplicate_names(self, table: pd.DataFrame) -> None:
        table.columns = ["a", "a", "y"]
        assert "'a' is column 1 and 2" in refused(table).message

    def test_no_such_target(self, table: pd.DataFrame) -> None:
        assert "no column 'yy' (the target)" in refused(table, "yy").message

    def test_unknown_names(self, table: pd.DataFrame) -> None:
        assert "'zz' (to leave out)" in refused(table, drop=["zz"]).message
        assert "'zz' (to take as categories)" in refused(table, categorical=["zz"]).message

    def test_nothing_left(self, table: pd.DataFrame) -> None:
        error = refused(table[["y"]].assign(c=1))
        assert "no column is left to predict 'y' from" in error.message
        assert "'c'" in str(error.hint)
        assert refused(table[["y"]]).hint == "Add columns."


def test_moments_do_not_overflow() -> None:
    stats = moments(np.array([1e308, -1e308, 1e308, np.nan]))
    assert all(np.isfinite(value) for value in stats.values())
    assert moments(np.array([2.0, 2.0]))["skewness"] == 0.0
