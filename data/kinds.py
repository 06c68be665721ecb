"""Decide what a column is: numeric, categorical, boolean, datetime, an identifier or a constant, or unusable.

The column is one of a tidy table (``tidying.py``). The rules, in order:

- nothing but missing values: unusable;
- asked to be categorical: categorical (the most frequent categories are kept, the rest become "other");
- one distinct value and nothing missing: constant; one distinct value and some missing: categorical;
- booleans, or the texts true and false: boolean;
- numbers: unusable if one is infinite, an identifier if they only number the rows, else numeric;
- datetimes, or texts that all read as dates of one format: datetime;
- texts that all read as numbers: as numbers;
- texts of which at least 10 % of the cells read as numbers and others do not: unusable ("mixed types"), but categorical
  with a note if there are at most 30 distinct ones, such as the codes 0, 1, 2, 3+;
- more than 50,000 distinct texts: unusable; more than 90 % of the cells distinct, and more than 20 of them: an
  identifier; else categorical.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .profile import Kind
from .transform import number_of

MAX_CATEGORIES = 50_000
MIXED_SHARE = 0.1
MAX_CODES = 30
IDENTIFIER_SHARE = 0.9
MIN_IDENTIFIERS = 20
# Tried in this order; month first wins where both readings fit every cell, and a warning says so.
DATE_FORMATS = ("ISO8601", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M")
_IDENTIFIER_NAMES = {"id", "index", "row", "rowid", "row_id", "rownum", "row_number", "rownames", "no", "nr", "uid"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Decision:
    """What a column is.

    Args:
        kind: Its kind.
        missing: Rows without a value.
        distinct: Different values, missing not counted.
        numbers: The values as float64 with NaN, if the kind is numeric.
        date_format: How its texts are read, if it is a datetime.
        note: Why, where that is not obvious; becomes a warning of the profile.
    """

    kind: Kind
    missing: int
    distinct: int
    numbers: Array | None = None
    date_format: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Problem:
    """Why a column cannot be used.

    Args:
        column: Its name.
        reason: The rest of a sentence that starts with the column: what it has and what was expected.
        categorical_helps: Whether taking it as categories is a way out (leaving it out always is).
        fix: What else helps, as a sentence.
    """

    column: str
    reason: str
    categorical_helps: bool = False
    fix: str | None = None


def decide(column: pd.Series[Any], *, categorical: bool = False) -> Decision | Problem:
    """Decide what a tidy column is.

    Args:
        column: The column, ``n`` cells; its name is used in notes.
        categorical: Whether the user said that it holds categories.
    """
    name = str(column.name)
    codes, values = pd.factorize(column.to_numpy(), use_na_sentinel=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    distinct, missing = len(values), len(column) - int(counts.sum())
    if distinct == 0:
        return Problem(name, f"has no value in any of its {len(column):,} rows; expected at least one")
    if categorical:
        return Decision("categorical", missing, distinct)
    if column.dtype.kind == "f" and np.isinf(values).any():
        return _infinite(column)
    if distinct == 1:
        if missing:
            note = f"column {name!r} has one value or none: it is taken as a category"
            return Decision("categorical", missing, 1, note=note)
        return Decision("constant", 0, 1, note=f"column {name!r} always is {str(values[0])!r}: it is left out")
    if column.dtype.kind == "b":
        return Decision("boolean", missing, distinct)
    if column.dtype.kind in "iuf":
        return _decide_numbers(column, missing=missing, distinct=distinct)
    if column.dtype.kind == "M":
        return Decision("datetime", missing, distinct, date_format="ISO8601")
    return _decide_texts(column, codes=codes, texts=values, counts=counts)


def _infinite(column: pd.Series[Any]) -> Problem:
    rows = np.flatnonzero(np.isinf(column.to_numpy()))
    return Problem(
        str(column.name),
        f"has {_count(len(rows), 'infinite value')}, the first in row {_row(column, rows[0])}; expected finite numbers",
        fix="Replace infinities with numbers or leave those cells empty.",
    )


def _row(column: pd.Series[Any], position: int) -> str:
    """Return the number of a row in the file, from 1: rows without a target may have been taken out."""
    return f"{int(str(column.index[position])) + 1:,}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _decide_numbers(column: pd.Series[Any], *, missing: int, distinct: int) -> Decision:
    name, numbers = str(column.name), column.to_numpy(dtype=np.float64)
    if distinct == len(column) > MIN_IDENTIFIERS and bool((np.diff(numbers) > 0).all()):
        numbered = numbers[0] in (0.0, 1.0) and numbers[-1] - numbers[0] == len(numbers) - 1
        named = name.casefold() in _IDENTIFIER_NAMES or name.startswith("Unnamed: ")
        if numbered or (named and bool((numbers == np.floor(numbers)).all())):
            return Decision(
                "identifier", missing, distinct, note=f"column {name!r} only numbers the rows: it is left out"
            )
    return Decision("numeric", missing, distinct, numbers=numbers)


def _decide_texts(column: pd.Series[Any], *, codes: Array, texts: Array, counts: Array) -> Decision | Problem:
    """Decide about a column of texts; ``texts`` are its distinct ones, ``codes`` point to them, ``counts`` count."""
    name, cells, distinct = str(column.name), int(counts.sum()), len(texts)
    missing = len(column) - cells
    if all(isinstance(text, bool) or text.casefold() in ("true", "false") for text in texts):
        return Decision("boolean", missing, distinct)
    numbers = np.array([_number(text) for text in texts])
    numeric = ~np.isnan(numbers)
    share = float(counts[numeric].sum()) / cells
    if numeric.all():
        read = pd.Series(np.append(numbers, np.nan)[codes], name=name, index=column.index)
        if np.isinf(numbers).any():
            return _infinite(read)
        return _decide_numbers(read, missing=missing, distinct=distinct)
    date_format = _date_format(texts) if not numeric.any() else None
    if date_format is not None:
        return Decision(
            "datetime", missing, distinct, date_format=date_format, note=_date_note(name, texts, date_format)
        )
    note = None
    if share >= MIXED_SHARE:
        bad = texts[~numeric][np.argsort(-counts[~numeric], kind="stable")]
        shown = ", ".join(repr(text) for text in bad[:3])
        if distinct > MAX_CODES:
            return _mixed(column, codes=codes, numeric=numeric, cells=cells, shown=shown)
        note = f"column {name!r} has {distinct} codes, numbers and texts such as {shown}: they are taken as categories"
    if distinct > MIN_IDENTIFIERS and distinct > IDENTIFIER_SHARE * cells and distinct <= MAX_CATEGORIES:
        note = f"column {name!r} has {distinct:,} different texts in {cells:,} cells: it is left out as an identifier"
        return Decision("identifier", missing, distinct, note=note)
    if distinct > MAX_CATEGORIES:
        return Problem(
            name,
            f"has {distinct:,} different texts, such as {texts[0]!r}; expected at most {MAX_CATEGORIES:,} categories",
            categorical_helps=True,
        )
    return Decision("categorical", missing, distinct, note=note)


def _mixed(column: pd.Series[Any], *, codes: Array, numeric: Array, cells: int, shown: str) -> Problem:
    is_text = (codes >= 0) & ~np.append(numeric, True)[codes]
    return Problem(
        str(column.name),
        f"mixes types: {cells - int(is_text.sum()):,} of {cells:,} cells are numbers, the others are texts such as "
        f"{shown} (the first in row {_row(column, int(np.flatnonzero(is_text)[0]))}); expected one type",
        categorical_helps=True,
        fix="Correct those cells or leave them empty.",
    )


def _number(text: str | bool) -> float:
    """Return the number that a text reads as (infinite too), NaN if it is none."""
    try:
        return number_of(text)
    except ValueError as e:
        return np.inf if "infinite" in str(e) else np.nan


def _date_format(texts: Array) -> str | None:
    """Return the first format in which all the texts are dates, or None."""
    head = [text for text in texts[:50] if isinstance(text, str)]
    if not head or not all(
        len(text) >= 8 and text[0].isdigit() and text.count("-") + text.count("/") + text.count(".") >= 2
        for text in head
    ):
        return None
    return next((date_format for date_format in DATE_FORMATS if _reads_as(texts, date_format)), None)


def _reads_as(texts: Array, date_format: str) -> bool:
    for part in (texts[:50], texts):  # most wrong formats fail on the first cells
        if pd.to_datetime(pd.Series(part), format=date_format, utc=True, errors="coerce").isna().any():
            return False
    return True


def _date_note(name: str, texts: Array, date_format: str) -> str | None:
    swapped = date_format.replace("%m/%d", "%d/%m")
    if swapped == date_format or not _reads_as(texts, swapped):
        return None
    return f"column {name!r} has dates such as {texts[0]!r}, which are read as month/day/year"
