"""Bring a table as it was read to plain columns: texts stripped, one kind of missing value, numpy types.

It judges nothing: what a column is and whether it can be used is decided in ``kinds.py``.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from ..errors import DataError
from .transform import MISSING_TEXTS, category_of

Array = npt.NDArray[Any]

_MISSING = frozenset(MISSING_TEXTS)


def tidy_table(frame: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Return the table with plain columns, text column names and rows numbered from 0.

    After this a column is bool, integer, float or datetime64 (UTC, no zone), or object with texts, booleans and None
    only. Blank cells, ``?`` and the other ``MISSING_TEXTS`` are None; timedeltas are seconds; decimals are floats.

    Args:
        frame: The table, ``n x c``. It is not changed.
        source: The file, for messages.

    Raises:
        DataError: A column holds lists, records, bytes, complex numbers or other things that are no cell values.
    """
    columns = {at: _tidy_column(frame.iloc[:, at], source) for at in range(frame.shape[1])}
    tidy = pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), copy=False)
    tidy.columns = pd.Index([str(name).strip() for name in frame.columns], dtype=object)
    tidy.attrs = dict(frame.attrs)
    return tidy


def _tidy_column(column: pd.Series[Any], source: str) -> Array:
    dtype = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        naive: Array = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return naive
    if isinstance(dtype, np.dtype):
        if dtype.kind in "biufM":
            return column.to_numpy()
        if dtype.kind == "m":
            seconds: Array = column.dt.total_seconds().to_numpy()
            return seconds
        if dtype.kind == "O":
            return _tidy_objects(column.to_numpy(), source=source, name=str(column.name))
        raise DataError(
            f"{source}: column {column.name!r} has the type {dtype}; expected numbers, texts, booleans or dates.",
            hint=f"Convert it, or leave it out with --drop {column.name}.",
        )
    if types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype):
        return _tidy_nullable(column)
    cells = column.astype(object).to_numpy()
    if isinstance(dtype, pd.CategoricalDtype):  # declared categories stay categories, even if they are numbers
        cells = np.array([category_of(cell, _MISSING) for cell in cells], dtype=object)
    return _tidy_objects(cells, source=source, name=str(column.name))


def _tidy_nullable(column: pd.Series[Any]) -> Array:
    """Return a column of a nullable pandas or Arrow type as numpy's: floats or objects if something is missing."""
    missing = bool(column.isna().any())
    if types.is_bool_dtype(column.dtype) and missing:
        return np.array([None if cell is pd.NA else bool(cell) for cell in column], dtype=object)
    if types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=bool)
    if types.is_integer_dtype(column.dtype) and not missing:
        return column.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _tidy_objects(cells: Array, *, source: str, name: str) -> Array:
    """Return a column of Python objects as one plain type, or as texts where types are mixed."""
    try:
        codes, distinct = pd.factorize(cells, use_na_sentinel=True)
    except TypeError as e:
        raise DataError(
            f"{source}: column {name!r} holds lists or records; expected one value in each cell.",
            hint=f"Flatten it into columns of its own, or leave it out with --drop {name}.",
        ) from e
    plain = [_plain(value, source=source, name=name) for value in distinct]
    found = {type(value) for value in plain if value is not None}
    missing = -1 in codes or any(value is None for value in plain)
    if found == {float} or (found == {int} and missing) or found == {int, float}:
        return np.array([*(np.nan if value is None else value for value in plain), np.nan], dtype=np.float64)[codes]
    if found == {int}:
        return np.array(plain)[codes]
    if found == {pd.Timestamp}:
        moments = pd.to_datetime(pd.Series([*plain, None], dtype=object), errors="coerce").to_numpy()
        return moments[codes]
    if found == {bool} and not missing:
        return np.array(plain, dtype=bool)[codes]
    if len(found) > 1:
        plain = [category_of(value, _MISSING) for value in plain]
    return np.array([*plain, None], dtype=object)[codes]


def _plain(value: Any, *, source: str, name: str) -> str | bool | int | float | pd.Timestamp | None:
    """Return one cell as a text, boolean, number or datetime (UTC, no zone)."""
    if isinstance(value, str):
        text = value.strip()
        return None if text in _MISSING else text
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating, decimal.Decimal)):
        return float(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.date):
        moment = pd.Timestamp(value)
        return moment if moment.tzinfo is None else moment.tz_convert("UTC").tz_localize(None)
    raise DataError(
        f"{source}: column {name!r} holds {type(value).__name__} values; expected numbers, texts, booleans or dates.",
        hint=f"Convert it, or leave it out with --drop {name}.",
    )
