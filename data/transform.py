"""Turn raw rows into features as a plan says: the one preprocessing of training, search and inference.

This module stands alone on purpose (standard library, numpy, pandas; no relative import, no ``__future__`` import): its
source is pasted as it is into the generated ``predict.py`` of a model, so that a model predicts without Omniforge. It
decides nothing: kinds, categories, fills and scales all come from the plan (see ``planning.py``), a JSON object::

    {"version": 1, "encoding": "ordinal" | "onehot", "missing": ["", "?", ...], "width": d, "columns": [
      {"name": "age",  "kind": "numeric" | "boolean", "at": [0], "indicator_at": 1 | null,
       "fill": [38.0], "center": [0.0], "scale": [1.0]},
      {"name": "when", "kind": "datetime", "format": "ISO8601", "origin": "2020-01-01", "parts": ["year", ...],
       "at": [2, ...], "indicator_at": null, "fill": [...], "center": [...], "scale": [...]},
      {"name": "job",  "kind": "categorical", "categories": ["clerk", ...],
       "at": 7}                                                # ordinal: one feature, the code
       "at": [7, 8, ...], "other_at": 9, "missing_at": null}   # one-hot: a feature for each category
    ]}

A category's code is its position; an unseen one has the code ``len(categories)`` and a missing one -1. In one-hot an
unseen or missing category without a feature of its own leaves all the column's features at 0.
"""

import datetime
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Cells that mean "no value" in text, whatever the column holds (compared after stripping white space).
MISSING_TEXTS = (
    *("", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
DATETIME_PARTS = ("year", "month", "day", "weekday", "hour", "elapsed_days")

_MISSING = frozenset(MISSING_TEXTS)
_SMALL_ROWS = 16  # up to here, cell by cell in Python beats pandas' cost per column
_CHUNK_ROWS = 32_768  # bounds the float64 workspace
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "1": 1.0, "0": 0.0}


def transform(plan: Mapping[str, Any], frame: pd.DataFrame) -> np.ndarray:
    """Apply a plan to raw rows; for many small batches keep a ``Transform`` instead.

    Args:
        plan: The plan's JSON object.
        frame: ``n`` raw rows. Columns that the plan does not name are ignored; their order does not matter.

    Returns:
        A C-contiguous float32 ``n x d`` array without NaN or infinity.

    Raises:
        ValueError: A column of the plan is missing or doubled, or a cell cannot be read as the column's kind.
    """
    return Transform(plan)(frame)


class Transform:
    """A plan made ready to apply to one batch after another.

    Args:
        plan: The plan's JSON object.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        if plan.get("version") != 1:
            raise ValueError(f"feature plan version {plan.get('version')!r} is not supported; expected 1")
        self.width = int(plan["width"])
        self.missing = frozenset(plan["missing"])
        self.names = [str(column["name"]) for column in plan["columns"]]
        valued = [column for column in plan["columns"] if column["kind"] != "categorical"]
        coded = [column for column in plan["columns"] if column["kind"] == "categorical"]
        self._valued, self._coded = valued, coded
        self._at = np.array([at for column in valued for at in column["at"]], dtype=np.intp)
        self._fill, self._center, self._scale = (
            np.array([x for column in valued for x in column[key]], dtype=np.float64)
            for key in ("fill", "center", "scale")
        )
        self._scaled = bool(np.any(self._center != 0.0) or np.any(self._scale != 1.0))
        # Where in the raw matrix each column starts: an indicator looks at its column's first value.
        starts = np.cumsum([0, *(len(column["at"]) for column in valued)], dtype=np.intp)
        flagged = [at for at, column in enumerate(valued) if column["indicator_at"] is not None]
        self._flag_from = starts[flagged]
        self._flag_at = np.array([valued[at]["indicator_at"] for at in flagged], dtype=np.intp)
        self._codes = [{text: code for code, text in enumerate(column["categories"])} for column in coded]
        self._onehot = plan["encoding"] == "onehot"
        if self._onehot:
            self._slots, self._slot_starts = _slot_table(coded)
        else:
            self._code_at = np.array([column["at"] for column in coded], dtype=np.intp)

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the features of ``frame``, float32 ``n x d``."""
        positions = self._positions(frame)
        rows = len(frame)
        out = np.zeros((rows, self.width), dtype=np.float32)
        for start in range(0, rows, _CHUNK_ROWS):
            part = frame if rows <= _CHUNK_ROWS else frame.iloc[start : start + _CHUNK_ROWS]
            columns = _cells(part) if rows <= _SMALL_ROWS else _arrays(part, positions.values())
            self._values_into(out[start : start + _CHUNK_ROWS], columns, positions)
            self._codes_into(out[start : start + _CHUNK_ROWS], columns, positions)
        return out

    def _positions(self, frame: pd.DataFrame) -> dict[str, int]:
        """Return where each column of the plan is in the frame."""
        found: dict[str, int] = {}
        doubled = set()
        for position, name in enumerate(frame.columns):
            if found.setdefault(str(name), position) != position:
                doubled.add(str(name))
        missing = [name for name in self.names if name not in found]
        if missing:
            shown = ", ".join(repr(name) for name in missing[:10]) + (", ..." if len(missing) > 10 else "")
            raise ValueError(f"missing column{'s' if len(missing) > 1 else ''} {shown}: the model was trained with it")
        for name in self.names:
            if name in doubled:
                raise ValueError(f"column {name!r} occurs more than once")
        return {name: found[name] for name in self.names}

    def _values_into(self, out: np.ndarray, columns: Mapping[int, Any], positions: Mapping[str, int]) -> None:
        """Write the features of numeric, boolean and datetime columns."""
        if not self._valued:
            return
        raw = np.empty((len(out), len(self._at)), dtype=np.float64, order="F")
        start = 0
        for column in self._valued:
            stop = start + len(column["at"])
            raw[:, start:stop] = _VALUES[column["kind"]](columns[positions[column["name"]]], column, self.missing)
            start = stop
        absent = np.isnan(raw)
        if len(self._flag_at):
            out[:, self._flag_at] = absent[:, self._flag_from]
        np.copyto(raw, self._fill, where=absent)
        if self._scaled:
            raw -= self._center
            raw /= self._scale
        out[:, self._at] = np.clip(raw, -_FLOAT32_MAX, _FLOAT32_MAX, out=raw)

    def _codes_into(self, out: np.ndarray, columns: Mapping[int, Any], positions: Mapping[str, int]) -> None:
        """Write the features of categorical columns."""
        if not self._coded:
            return
        codes = np.empty((len(out), len(self._coded)), dtype=np.intp, order="F")
        for at, (column, known) in enumerate(zip(self._coded, self._codes, strict=True)):
            codes[:, at] = category_codes(columns[positions[column["name"]]], known, self.missing)
        if not self._onehot:
            out[:, self._code_at] = codes
            return
        slots = self._slots[self._slot_starts + codes + 1]
        rows, which = np.nonzero(slots >= 0)
        out[rows, slots[rows, which]] = 1.0


def _slot_table(coded: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return, for codes -1, 0 ... k (missing, categories, other) of each column in turn, the feature or -1."""
    slots: list[int] = []
    starts = []
    for column in coded:
        starts.append(len(slots))
        ends = [-1 if column[key] is None else column[key] for key in ("missing_at", "other_at")]
        slots += [ends[0], *column["at"], ends[1]]
    return np.array(slots, dtype=np.intp), np.array(starts, dtype=np.intp)


def _cells(frame: pd.DataFrame) -> dict[int, list[Any]]:
    """Return a small frame as columns of Python objects, by position."""
    return dict(enumerate(frame.to_numpy(dtype=object).T.tolist()))


def _arrays(frame: pd.DataFrame, positions: Iterable[int]) -> dict[int, np.ndarray]:
    """Return the columns at ``positions`` as arrays: numbers, booleans and datetimes typed, all else objects."""
    return {position: as_array(frame.iloc[:, position]) for position in positions}


def as_array(column: pd.Series) -> np.ndarray:
    """Return a column's values as bool, number, datetime64 (UTC) or object array."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufM":
        return column.to_numpy()
    return column.astype(object).to_numpy()


def _map_cells(cells: Sequence[Any] | np.ndarray, parse: Callable[[Any], Any]) -> list[Any] | np.ndarray:
    """Apply ``parse`` to each distinct cell; equal cells get equal results."""
    if isinstance(cells, list) or len(cells) <= _SMALL_ROWS:
        return [parse(cell) for cell in cells]
    codes, distinct = pd.factorize(np.asarray(cells), use_na_sentinel=True)
    table = np.array([*(parse(cell) for cell in distinct), parse(None)])
    return table[codes]  # -1, the code of a missing cell, is the last of the table


def _is_missing(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or value is pd.NA or value is pd.NaT


def number_of(value: Any, missing: frozenset[str] = _MISSING) -> float:
    """Read one cell as a number; NaN if it is missing.

    Raises:
        ValueError: The cell is not a finite number.
    """
    if isinstance(value, float):
        number = float(value)
    elif isinstance(value, str):
        text = value.strip()
        if text in missing:
            return math.nan
        if "_" in text:  # Python reads 1_000, data files do not mean it
            raise ValueError(f"{value!r} is not a number")
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{value!r} is not a number") from None
    elif _is_missing(value):
        return math.nan
    elif isinstance(value, np.datetime64):  # float() would count its nanoseconds
        raise ValueError(f"{value!r} is not a number")
    else:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is not a number") from None
    if math.isinf(number):
        raise ValueError(f"{(value if isinstance(value, str) else number)!r} is infinite")
    return number


def boolean_of(value: Any, missing: frozenset[str] = _MISSING) -> float:
    """Read one cell as 1.0 (true) or 0.0 (false); NaN if it is missing.

    Raises:
        ValueError: The cell is neither.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in missing:
            return math.nan
        found = _BOOLEANS.get(text.casefold())
        if found is not None:
            return found
    elif _is_missing(value):
        return math.nan
    elif value in (0, 1):
        return float(value)
    raise ValueError(f"{value!r} is neither true nor false")


def category_of(value: Any, missing: frozenset[str] = _MISSING) -> str | None:
    """Read one cell as the text of a category; None if it is missing.

    Numbers and booleans have one spelling (1, 1.0, "1" and "01" are "1"; True and "true" are "True"), because a file
    with fewer rows can make a reader type the same column differently.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in missing:
            return None
        return _spelling(text)
    if _is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "True" if value else "False"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return _number_text(float(value))
    return str(pd.Timestamp(value) if isinstance(value, np.datetime64) else value)


def _spelling(text: str) -> str:
    folded = text.casefold()
    if folded in ("true", "false"):
        return folded.capitalize()
    if text[0] not in "+-.0123456789" or "_" in text:
        return text
    try:
        return str(int(text))
    except ValueError:
        pass
    try:
        return _number_text(float(text))
    except ValueError:
        return text


def _number_text(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def category_codes(
    cells: Sequence[Any] | np.ndarray, known: Mapping[str, int], missing: frozenset[str] = _MISSING
) -> list[int] | np.ndarray:
    """Return the code of each cell: its category's, ``len(known)`` if unseen, -1 if missing."""
    other = len(known)

    def code(cell: Any) -> int:
        text = category_of(cell, missing)
        return -1 if text is None else known.get(text, other)

    return _map_cells(cells, code)


def read_values(
    cells: Sequence[Any] | np.ndarray,
    read: Callable[[Any, frozenset[str]], float],
    *,
    name: str,
    missing: frozenset[str] = _MISSING,
) -> np.ndarray:
    """Read a column of numbers (``number_of``) or booleans (``boolean_of``) as float64 with NaN for missing.

    Raises:
        ValueError: A cell cannot be read; the message names the column and the cell.
    """
    if isinstance(cells, np.ndarray) and (cells.dtype.kind == "b" or (cells.dtype.kind in "iuf" and read is number_of)):
        values = cells.astype(np.float64)
        if not np.isinf(values).any():
            return values
    try:
        return np.asarray(_map_cells(cells, lambda cell: read(cell, missing)), dtype=np.float64)
    except ValueError as e:
        raise ValueError(f"column {name!r}: {e}") from e


def read_datetimes(
    cells: Sequence[Any] | np.ndarray, date_format: str, *, name: str, missing: frozenset[str] = _MISSING
) -> pd.Series:
    """Read a column of datetimes (texts of ``date_format``, or datetime objects) as datetime64, UTC, NaT for missing.

    Raises:
        ValueError: A cell cannot be read; the message names the column and the cell.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return pd.Series(cells)
    plain = [_date_text(cell, missing) for cell in cells]
    parsed = pd.to_datetime(pd.Series(plain, dtype=object), format=date_format, utc=True, errors="coerce")
    if date_format != "ISO8601" and parsed.isna().any():  # date objects were spelled in ISO 8601
        spelled = [text if isinstance(cell, datetime.date) else None for text, cell in zip(plain, cells, strict=True)]
        iso = pd.to_datetime(pd.Series(spelled, dtype=object), format="ISO8601", utc=True, errors="coerce")
        parsed = parsed.fillna(iso)
    for text, absent in zip(plain, parsed.isna(), strict=True):
        if absent and text is not None:
            raise ValueError(f"column {name!r}: {text!r} is not a date of the format {date_format!r}")
    return parsed.dt.tz_localize(None)


def _date_text(cell: Any, missing: frozenset[str]) -> str | None:
    if _is_missing(cell):
        return None
    text = cell.isoformat() if isinstance(cell, datetime.date) else str(cell).strip()
    return None if text in missing else text


def datetime_values(times: pd.Series, origin: str, parts: Sequence[str]) -> np.ndarray:
    """Return the named parts of ``n`` datetimes, float64 ``n x len(parts)`` with NaN for missing."""
    elapsed = (times - pd.Timestamp(origin)) / pd.Timedelta(days=1)
    values = [elapsed if part == "elapsed_days" else getattr(times.dt, part) for part in parts]
    return np.column_stack([np.asarray(value, dtype=np.float64) for value in values])


def _numeric(cells: Any, column: Mapping[str, Any], missing: frozenset[str]) -> np.ndarray:
    return read_values(cells, number_of, name=column["name"], missing=missing)[:, None]


def _boolean(cells: Any, column: Mapping[str, Any], missing: frozenset[str]) -> np.ndarray:
    return read_values(cells, boolean_of, name=column["name"], missing=missing)[:, None]


def _datetime(cells: Any, column: Mapping[str, Any], missing: frozenset[str]) -> np.ndarray:
    times = read_datetimes(cells, column["format"], name=column["name"], missing=missing)
    return datetime_values(times, column["origin"], column["parts"])


_VALUES: dict[str, Callable[[Any, Mapping[str, Any], frozenset[str]], np.ndarray]] = {
    "numeric": _numeric,
    "boolean": _boolean,
    "datetime": _datetime,
}
