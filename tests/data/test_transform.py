from __future__ import annotations

import ast
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.data import profile_table
from omniforge.data import transform as module
from omniforge.data.planning import ENCODINGS, fit_plan
from omniforge.data.transform import (
    Transform,
    boolean_of,
    category_codes,
    category_of,
    datetime_values,
    number_of,
    read_datetimes,
    transform,
)

PLAN: dict[str, Any] = {
    "version": 1,
    "encoding": "onehot",
    "missing": ["", "?"],
    "width": 10,
    "columns": [
        {"name": "n", "kind": "numeric", "at": [0], "indicator_at": 1, "fill": [3.0], "center": [1.0], "scale": [2.0]},
        {
            "name": "b",
            "kind": "boolean",
            "at": [2],
            "indicator_at": None,
            "fill": [1.0],
            "center": [0.0],
            "scale": [1.0],
        },
        {
            "name": "t",
            "kind": "datetime",
            "format": "ISO8601",
            "origin": "2020-01-01",
            "parts": ["weekday", "elapsed_days"],
            "at": [3, 4],
            "indicator_at": 5,
            "fill": [2.0, 10.0],
            "center": [0.0, 0.0],
            "scale": [1.0, 10.0],
        },
        {"name": "c", "kind": "categorical", "categories": ["x", "1"], "at": [6, 7], "other_at": 8, "missing_at": 9},
    ],
}


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype=object)


def test_an_example_by_hand() -> None:
    rows = frame(
        n=[5, "7", None, "?"],
        b=["true", 0, None, True],
        t=["2020-01-02", None, "2020-01-11T12:00:00", datetime.date(2020, 1, 1)],
        c=["x", 1.0, "new", None],
    )
    expected = [
        [2, 0, 1, 3, 0.1, 0, 1, 0, 0, 0],
        [3, 0, 0, 2, 1.0, 1, 0, 1, 0, 0],
        [1, 1, 1, 5, 1.05, 0, 0, 0, 1, 0],
        [1, 1, 1, 2, 0.0, 0, 0, 0, 0, 1],
    ]
    out = transform(PLAN, rows)
    assert out.dtype == np.float32
    assert out.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_an_unseen_category_without_a_feature_is_all_zero() -> None:
    column = {**PLAN["columns"][3], "other_at": None, "missing_at": None, "at": [0, 1]}
    plan = {**PLAN, "columns": [column], "width": 2}
    assert transform(plan, frame(c=["x", "new", None])).tolist() == [[1, 0], [0, 0], [0, 0]]


def test_ordinal_codes() -> None:
    column = {"name": "c", "kind": "categorical", "categories": ["x", "1"], "at": 0}
    plan = {**PLAN, "encoding": "ordinal", "columns": [column], "width": 1}
    assert transform(plan, frame(c=["x", "1", "01", 1, "new", "?"])).T.tolist() == [[0, 1, 1, 1, 2, -1]]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_small_and_large_batches_agree(mixed: pd.DataFrame, encoding: str) -> None:
    plan = fit_plan(mixed.head(300), profile_table(mixed, "bought"), encoding).to_dict()
    whole = transform(plan, mixed)
    assert np.isfinite(whole).all()
    apply = Transform(plan)
    for size in (1, 7, 16, 17):
        parts = [apply(mixed.iloc[start : start + size]) for start in range(0, 60, size)]
        np.testing.assert_array_equal(np.concatenate(parts)[:60], whole[:60])


def test_chunks_agree(mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = fit_plan(mixed, profile_table(mixed, "bought"), "onehot").to_dict()
    whole = transform(plan, mixed)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 64)
    np.testing.assert_array_equal(transform(plan, mixed), whole)


def test_the_plan_survives_json(mixed: pd.DataFrame) -> None:
    plan = fit_plan(mixed, profile_table(mixed, "bought"), "onehot").to_dict()
    np.testing.assert_array_equal(transform(json.loads(json.dumps(plan)), mixed), transform(plan, mixed))


@pytest.mark.parametrize("rows", [5, 50])
def test_how_a_reader_typed_the_column_does_not_matter(rows: int) -> None:
    base = ["1", "2", "1", "3", "2"] * (rows // 5)
    column = {"name": "c", "kind": "categorical", "categories": ["1", "2", "3"], "at": 0}
    plan = {**PLAN, "encoding": "ordinal", "columns": [column], "width": 1}
    for values in (
        pd.Series(base),
        pd.Series(base, dtype="string"),
        pd.Series(base, dtype="category"),
        pd.Series([int(x) for x in base]),
        pd.Series([float(x) for x in base]),
        pd.Series([int(x) for x in base], dtype="Int64"),
        pd.Series([f"{x}.0" for x in base]),
    ):
        assert transform(plan, pd.DataFrame({"c": values}))[:, 0].tolist() == [float(x) - 1 for x in base]


@pytest.mark.parametrize("rows", [1, 40])
def test_numbers_of_any_type(rows: int) -> None:
    column = {**PLAN["columns"][0], "at": [0], "indicator_at": None, "center": [0.0], "scale": [1.0]}
    plan = {**PLAN, "columns": [column], "width": 1}
    for values, dtype in (
        ([2] * rows, "int8"),
        ([2.0] * rows, "float32"),
        (["2"] * rows, "string"),
        ([2] * rows, "Int64"),
    ):
        assert set(transform(plan, pd.DataFrame({"n": pd.Series(values, dtype=dtype)}))[:, 0]) == {2.0}
    assert set(transform(plan, pd.DataFrame({"n": [None] * rows}))[:, 0]) == {3.0}
    assert set(transform(plan, pd.DataFrame({"n": [True] * rows}))[:, 0]) == {1.0}


def test_huge_numbers_stay_finite() -> None:
    column = {**PLAN["columns"][0], "at": [0], "indicator_at": None, "center": [0.0], "scale": [1.0]}
    assert np.isfinite(transform({**PLAN, "columns": [column], "width": 1}, frame(n=[1e300, -1e300]))).all()


def test_no_rows() -> None:
    assert transform(PLAN, frame(n=[], b=[], t=[], c=[])).shape == (0, 10)


def test_order_and_further_columns_do_not_matter(mixed: pd.DataFrame) -> None:
    plan = fit_plan(mixed, profile_table(mixed, "bought"), "ordinal").to_dict()
    np.testing.assert_array_equal(transform(plan, mixed[mixed.columns[::-1]].assign(more=1)), transform(plan, mixed))


class TestRefusals:
    @pytest.mark.parametrize("rows", [1, 40])
    def test_missing_column(self, rows: int) -> None:
        with pytest.raises(ValueError, match="missing columns 'n', 'c'"):
            transform(PLAN, frame(b=[1] * rows, t=[None] * rows))

    @pytest.mark.parametrize("rows", [1, 40])
    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            ("n", "abc", r"column 'n': 'abc' is not a number"),
            ("n", "inf", r"column 'n': 'inf' is infinite"),
            ("n", np.inf, r"column 'n': inf is infinite"),
            ("n", "1_000", r"column 'n': '1_000' is not a number"),
            ("n", pd.Timestamp("2020-01-01"), r"column 'n': .* is not a number"),
            ("b", "maybe", r"column 'b': 'maybe' is neither true nor false"),
            ("b", 2, r"column 'b': 2 is neither"),
            ("t", "yesterday", r"column 't': 'yesterday' is not a date of the format 'ISO8601'"),
        ],
    )
    def test_unreadable_cells(self, rows: int, column: str, value: Any, message: str) -> None:
        good = {"n": 1, "b": 1, "t": None, "c": "x"}
        cells = {name: [good[name]] * rows for name in good}
        cells[column][-1] = value
        with pytest.raises(ValueError, match=message):
            transform(PLAN, frame(**cells))

    def test_typed_columns(self) -> None:
        times = pd.DataFrame({"n": pd.date_range("2020-01-01", periods=40)})
        plan = {**PLAN, "columns": PLAN["columns"][:1], "width": 2}
        with pytest.raises(ValueError, match="column 'n'"):
            transform(plan, times)
        with pytest.raises(ValueError, match="column 'n': inf is infinite"):
            transform(plan, pd.DataFrame({"n": [np.inf] * 40}))

    def test_doubled_column(self) -> None:
        rows = pd.DataFrame([[1, 2]], columns=["n", "n"])
        with pytest.raises(ValueError, match="'n' occurs more than once"):
            transform({**PLAN, "columns": PLAN["columns"][:1], "width": 2}, rows)

    def test_another_version(self) -> None:
        with pytest.raises(ValueError, match="version 2"):
            transform({**PLAN, "version": 2}, frame(n=[1]))


class TestCells:
    @pytest.mark.parametrize(
        ("value", "number"),
        [(1, 1.0), (" 2.5 ", 2.5), ("1e3", 1000.0), (True, 1.0), (np.float32(0.5), 0.5), ("-.5", -0.5)],
    )
    def test_number(self, value: Any, number: Any) -> None:
        assert number_of(value) == number

    @pytest.mark.parametrize("value", [None, "", " ", "?", "NA", float("nan"), np.float32("nan"), pd.NA, pd.NaT])
    def test_missing(self, value: Any) -> None:
        assert np.isnan(number_of(value))
        assert np.isnan(boolean_of(value))
        assert category_of(value) is None
        assert category_codes([value], {"a": 0}) == [-1]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("a b ", "a b"),
            (1, "1"),
            (1.0, "1"),
            ("1.0", "1"),
            ("01", "1"),
            ("+1", "1"),
            ("1.50", "1.5"),
            (1.5, "1.5"),
            (-0.0, "0"),
            (True, "True"),
            ("TRUE", "True"),
            ("12345678901234567890", "12345678901234567890"),
            ("1_000", "1_000"),
            ("1-2", "1-2"),
            (".", "."),
            ("-inf", "-inf"),
            (np.int64(3), "3"),
        ],
    )
    def test_category(self, value: Any, text: Any) -> None:
        assert category_of(value) == text

    @pytest.mark.property
    @settings(deadline=None)
    @given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
    def test_a_category_has_one_spelling(self, value: Any) -> None:
        text = category_of(value)
        assert text is None or category_of(text) in (text, None)


def test_dates_in_objects_beside_texts() -> None:
    read = read_datetimes([datetime.date(2020, 2, 1), "01/02/2020", None], "%d/%m/%Y", name="t")
    assert read.tolist()[:2] == [pd.Timestamp("2020-02-01")] * 2
    assert read.isna().tolist() == [False, False, True]


def test_zoned_dates_become_utc() -> None:
    zoned = pd.Series(pd.to_datetime(["2020-01-01 01:30"])).dt.tz_localize("Europe/Rome")
    plan = {
        **PLAN,
        "columns": [{**PLAN["columns"][2], "parts": ["hour", "elapsed_days"], "at": [0, 1], "indicator_at": None}],
    }
    plan["width"] = 2
    for rows in (1, 40):
        out = transform(plan, pd.DataFrame({"t": pd.concat([zoned] * rows)}))
        np.testing.assert_allclose(out[0], [0, 0.5 / 24 / 10], rtol=1e-5)


def test_all_parts_of_a_date() -> None:
    times = pd.Series([pd.Timestamp("2021-03-04 05:00"), pd.NaT])
    values = datetime_values(times, "2021-03-01", module.DATETIME_PARTS)
    assert values[0].tolist() == [2021, 3, 4, 3, 5, pytest.approx(3 + 5 / 24)]
    assert np.isnan(values[1]).all()


class TestAlone:
    """The source is pasted into generated programs."""

    SOURCE = Path(module.__file__).read_text(encoding="utf-8")

    def test_it_imports_only_the_standard_library_numpy_and_pandas(self) -> None:
        for node in ast.walk(ast.parse(self.SOURCE)):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                assert node.module != "__future__"
            names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.partition(".")[0] in {*sys.stdlib_module_names, "numpy", "pandas"}

    def test_it_works_when_pasted_below_other_code(self, mixed: pd.DataFrame) -> None:
        plan = fit_plan(mixed, profile_table(mixed, "bought"), "onehot").to_dict()
        names: dict[str, Any] = {"__name__": "predict"}
        exec(compile(f'"""A program."""\nimport json\n{self.SOURCE}', "predict.py", "exec"), names)
        np.testing.assert_array_equal(names["transform"](plan, mixed), transform(plan, mixed))
