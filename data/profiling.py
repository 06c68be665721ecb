"""Profile a table: decide what each column is, read the target, and refuse what cannot be used, all of it at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from .association import MAX_ROWS, signal
from .column_names import check_choices, check_known, check_unique, drop_option
from .kinds import Decision, Problem, decide
from .profile import ColumnProfile, DataProfile
from .target import Target, read_target
from .tidying import tidy_table
from .transform import boolean_of, category_of, read_datetimes, read_values

LEAK_SIGNAL = 0.99
REPEATED_SHARE = 0.05

Array = npt.NDArray[Any]


def profile_table(
    frame: pd.DataFrame,
    target: str,
    *,
    task: str = "auto",
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
) -> DataProfile:
    """Profile a table.

    Args:
        frame: The table, ``n x c``, from ``read_table`` or made by hand. It is not changed.
        target: The column to predict.
        task: ``auto`` (the rule is in ``target.py``), ``classification`` or ``regression``.
        drop: Columns to leave out.
        categorical: Columns to take as categories whatever they look like.

    Raises:
        DataError: A name is unknown or doubled, the target cannot be predicted, a column cannot be used (all missing,
            infinite, too many categories, mixed types), or no column is left.
        UnknownNameError: There is no such task.
    """
    source = str(frame.attrs.get("source", "table"))
    names = [str(name).strip() for name in frame.columns]
    _check_names(names, source=source, target=target, drop=drop, categorical=categorical)
    tidy = tidy_table(frame, source=source)
    found = read_target(tidy[target], task=task, source=source)
    rows = tidy[found.present] if not found.present.all() else tidy
    left_out = {target, *drop}
    decisions = _decide_all(rows, [name for name in names if name not in left_out], categorical, source=source)
    sample = _sample(len(rows))
    columns = tuple(_describe(rows[name], decision, found, sample) for name, decision in decisions.items())
    profile = DataProfile(
        source=source,
        rows=len(rows),
        target=target,
        task=found.task,
        classes=found.classes,
        class_counts=found.class_counts,
        target_stats=moments(found.y) if found.classes is None else {},
        columns=columns,
        dropped=tuple(dict.fromkeys([*frame.attrs.get("dropped", ()), *drop])),
        duplicate_rows=(duplicates := int(rows.duplicated().sum())),
        warnings=(*found.warnings, *_notes(decisions), *_leaks(columns), *_repeats(duplicates, len(rows))),
    )
    if not profile.features:
        raise DataError(
            f"{source}: no column is left to predict {target!r} from.",
            hint=" ".join(f"{note[0].upper()}{note[1:]}." for note in _notes(decisions)) or "Add columns.",
        )
    return profile


def _check_names(
    names: Sequence[str], *, source: str, target: str, drop: Sequence[str], categorical: Sequence[str]
) -> None:
    check_unique(names, source, drop=drop)
    check_known([target], names, source=source, role="the target")
    check_known(drop, names, source=source, role="to leave out")
    check_known(categorical, names, source=source, role="to take as categories")
    check_choices(target, drop=drop, categorical=categorical)


def _decide_all(
    rows: pd.DataFrame, names: Sequence[str], categorical: Sequence[str], *, source: str
) -> dict[str, Decision]:
    """Decide about every column; refuse all unusable ones in one message."""
    decisions = {name: decide(rows[name], categorical=name in categorical) for name in names}
    problems = [decision for decision in decisions.values() if isinstance(decision, Problem)]
    if not problems:
        return {name: decision for name, decision in decisions.items() if isinstance(decision, Decision)}
    shown = "; ".join(f"column {problem.column!r} {problem.reason}" for problem in problems[:5])
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    fixes = list(dict.fromkeys(problem.fix for problem in problems if problem.fix))
    fixes.append(f"To leave {'it' if len(problems) == 1 else 'them'} out: {drop_option([p.column for p in problems])}.")
    as_categories = [problem.column for problem in problems if problem.categorical_helps]
    if as_categories:
        option = drop_option(as_categories, option="--categorical")
        fixes.append(f"To take {'it' if len(as_categories) == 1 else 'them'} as categories: {option}.")
    raise DataError(f"{source}: {shown}{more}.", hint=" ".join(fixes))


def _describe(column: pd.Series[Any], decision: Decision, target: Target, sample: slice | Array) -> ColumnProfile:
    """Return what is known about a column, how it goes with the target included."""
    cells = _comparable(column, decision)
    stats: dict[str, Any] = {}
    if decision.kind == "numeric":
        stats = moments(cells)
    elif decision.kind == "categorical":
        counts = column.value_counts().head(10)
        stats = {"top": tuple((category_of(value) or "", int(count)) for value, count in counts.items())}
    used = decision.kind not in ("identifier", "constant")
    classes = None if target.classes is None else len(target.classes)
    return ColumnProfile(
        name=str(column.name),
        kind=decision.kind,
        dtype="text" if column.dtype.kind == "O" else str(column.dtype),
        missing=decision.missing,
        distinct=decision.distinct,
        date_format=decision.date_format,
        signal=round(signal(cells[sample], target.y[sample], classes=classes), 4) if used else 0.0,
        note=decision.note,
        **stats,
    )


def _comparable(column: pd.Series[Any], decision: Decision) -> Array:
    """Return a column's values as floats where they have an order, else as they are."""
    if decision.numbers is not None:
        return decision.numbers
    if decision.kind == "boolean":
        return read_values(column.to_numpy(), boolean_of, name=str(column.name))
    if decision.date_format is not None:
        times = read_datetimes(column.to_numpy(), decision.date_format, name=str(column.name))
        return ((times - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype=np.float64)
    return column.to_numpy()


def moments(values: Array) -> dict[str, float]:
    """Return mean, std, minimum, maximum and skewness of numbers; NaN is left out, nothing overflows."""
    known = values[~np.isnan(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        return _moments(known)


def _moments(known: Array) -> dict[str, float]:
    mean, std = float(known.mean()), float(known.std())
    if not math.isfinite(std) or not math.isfinite(mean):  # near the largest float
        scale = float(np.abs(known).max())
        mean, std = float((known / scale).mean() * scale), float((known / scale).std() * scale)
    skewness = float((((known - mean) / std) ** 3).mean()) if std > 0 else 0.0
    return {
        "mean": mean,
        "std": std,
        "minimum": float(known.min()),
        "maximum": float(known.max()),
        "skewness": skewness if math.isfinite(skewness) else 0.0,
    }


def _sample(rows: int) -> slice | Array:
    """Return which rows the associations are computed on: all, or 5,000 spread over the table."""
    return slice(None) if rows <= MAX_ROWS else np.linspace(0, rows - 1, MAX_ROWS).astype(np.int64)


def _notes(decisions: Mapping[str, Decision]) -> list[str]:
    """Return the notes on the columns; many constants become one sentence."""
    notes = [decision.note for decision in decisions.values() if decision.note and decision.kind != "constant"]
    constant = [name for name, decision in decisions.items() if decision.kind == "constant"]
    if constant:
        shown = ", ".join(repr(name) for name in constant[:5]) + (", ..." if len(constant) > 5 else "")
        count = "a column has" if len(constant) == 1 else f"{len(constant)} columns have"
        notes.append(
            f"{count} the same value in every row and {'is' if len(constant) == 1 else 'are'} left out: {shown}"
        )
    return notes


def _repeats(duplicates: int, rows: int) -> list[str]:
    if duplicates < REPEATED_SHARE * rows:
        return []
    return [
        f"{duplicates:,} of {rows:,} rows repeat an earlier one: scores can be too good, as test rows were trained on"
    ]


def _leaks(columns: Sequence[ColumnProfile]) -> list[str]:
    return [
        f"column {column.name!r} alone determines the target: make sure that it is known when a prediction is made"
        for column in columns
        if column.used and column.signal >= LEAK_SIGNAL
    ]
