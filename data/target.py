"""What is to be predicted: the task, the classes, and the target as numbers.

With ``task="auto"`` a target of texts, booleans or declared categories is classification. A target of whole numbers is
classification if it has at most 20 different values and at least 5 rows for each of them on average, else regression. A
target of other numbers is regression.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, UnknownNameError
from .profile import Label, Task
from .transform import number_of

TASKS = ("auto", "classification", "regression")
AUTO_MAX_CLASSES = 20
AUTO_MIN_ROWS_PER_CLASS = 5
MAX_CLASSES = 1_000
MIN_ROWS = 10

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Target:
    """The target of a table.

    Args:
        name: The column's name.
        task: What is to be predicted.
        present: Which rows have a target, bool ``n``.
        y: Class indices (int64) or values (float64) of the present rows.
        classes: The classes in order; None for regression.
        warnings: What was decided and could surprise.
    """

    name: str
    task: Task
    present: Array
    y: Array
    classes: tuple[Label, ...] | None
    warnings: tuple[str, ...] = ()

    @property
    def class_counts(self) -> tuple[int, ...] | None:
        """Rows of each class."""
        if self.classes is None:
            return None
        return tuple(int(count) for count in np.bincount(self.y, minlength=len(self.classes)))


def read_target(column: pd.Series[Any], *, task: str = "auto", source: str) -> Target:
    """Read the target from a tidy column.

    Args:
        column: The target's column, ``n`` cells.
        task: ``auto``, ``classification`` or ``regression``.
        source: The file, for messages.

    Raises:
        UnknownNameError: The task is none of the three.
        DataError: The target is constant, empty or infinite, has a class with one row or too many classes, or is no
            number where a number is needed.
    """
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    name = str(column.name)
    where = f"{source}: the target {name!r}"
    present = column.notna().to_numpy()
    values = column[present]
    if len(values) < MIN_ROWS:
        raise DataError(
            f"{where} has {len(values)} rows with a value; expected at least {MIN_ROWS}.", hint="Give more rows."
        )
    if values.dtype.kind == "M":
        raise DataError(
            f"{where} holds dates; expected classes or numbers.", hint="Derive a number or a class from it."
        )
    warnings = []
    if len(values) < len(column):
        warnings.append(f"{len(column) - len(values):,} rows without a target are left out")
    labels, values = _labels(values)
    if len(labels) == 1:
        raise DataError(
            f"{where} always is {labels[0]!r}; expected at least two values.", hint="Choose another target."
        )
    decided = _decide_task(values, labels) if task == "auto" else task
    if decided == "regression":
        y = _regression_values(values, where=where, asked=task)
        return Target(name, "regression", present, y, None, tuple(warnings))
    classes, y = _classes(values, labels, where=where)
    if task == "auto" and len(classes) > 2 and values.dtype.kind in "iu":
        warnings.append(
            f"the target has {len(classes)} whole numbers, which are taken as classes; else --task regression"
        )
    rare = [classes[code] for code, count in enumerate(np.bincount(y)) if count == 2]
    if rare:
        shown = ", ".join(repr(label) for label in rare[:5])
        warnings.append(f"classes with two rows only cannot be in training, validation and test alike: {shown}")
    return Target(name, "classification", present, y, classes, tuple(warnings))


def _labels(values: pd.Series[Any]) -> tuple[list[Any], pd.Series[Any]]:
    """Return the distinct values, whole numbers as ints, and the values of that type."""
    if values.dtype.kind == "f" and bool(np.isfinite(values).all()) and bool((values == np.floor(values)).all()):
        values = values.astype(np.int64) if values.abs().max() < 2**53 else values
    if values.dtype.kind == "O" and all(isinstance(value, bool) for value in values.unique()):
        values = values.astype(bool)
    return sorted(values.unique().tolist(), key=lambda label: (isinstance(label, str), label)), values


def _decide_task(values: pd.Series[Any], labels: Sequence[Any]) -> Task:
    if values.dtype.kind == "f":
        return "regression"
    many = len(labels) > AUTO_MAX_CLASSES
    if values.dtype.kind in "iu" or (values.dtype.kind == "O" and many and _numbers(labels) == len(labels)):
        few = not many and len(labels) * AUTO_MIN_ROWS_PER_CLASS <= len(values)
        return "classification" if few else "regression"
    return "classification"


def _numbers(labels: Sequence[Any]) -> int:
    """Return how many of the labels read as numbers."""
    count = 0
    for label in labels:
        with contextlib.suppress(ValueError):
            number_of(label)
            count += 1
    return count


def _regression_values(values: pd.Series[Any], *, where: str, asked: str) -> Array:
    if values.dtype.kind in "iufb":
        y = values.to_numpy(dtype=np.float64)
        if np.isinf(y).any():
            row = int(values.index[np.isinf(y)][0]) + 1
            raise DataError(
                f"{where} is infinite in row {row:,}; expected finite numbers.",
                hint="Correct that cell, or leave it empty: rows without a target are left out.",
            )
        return y
    for at, value in values.items():
        try:
            number_of(value)
        except ValueError as e:
            raise DataError(
                f"{where} cannot be used for regression: {e} (row {int(str(at)) + 1:,}).",
                hint="Use --task classification, or correct that cell." if asked == "regression" else None,
            ) from e
    return np.array([number_of(value) for value in values], dtype=np.float64)


def _classes(values: pd.Series[Any], labels: list[Any], *, where: str) -> tuple[tuple[Label, ...], Array]:
    """Return the classes in order and the class index of each row."""
    if values.dtype.kind == "f" and bool(np.isinf(values).any()):
        raise DataError(f"{where} has infinite values; expected classes.", hint="Leave those cells empty.")
    numeric = values.dtype.kind in "iuf"
    if len(labels) > MAX_CLASSES:
        hint = (
            "Use --task regression." if numeric else "It looks like an identifier or free text: choose another target."
        )
        raise DataError(f"{where} has {len(labels):,} classes; expected at most {MAX_CLASSES:,}.", hint=hint)
    if not numeric and len(labels) > AUTO_MAX_CLASSES and 2 * _numbers(labels) > len(labels):
        row, bad = next((int(str(at)) + 1, label) for at, label in values.items() if not _numbers([label]))
        raise DataError(
            f"{where} mixes types: most values are numbers, {bad!r} (row {row:,}) is none; expected one type.",
            hint="Correct that cell, or leave it empty: rows without a target are left out.",
        )
    index = {label: code for code, label in enumerate(labels)}
    y = values.map(index).to_numpy(dtype=np.int64)
    single = [label for label, count in zip(labels, np.bincount(y), strict=True) if count == 1]
    if single:
        shown = ", ".join(repr(label) for label in single[:5]) + (", ..." if len(single) > 5 else "")
        rows = ", ".join(f"{int(str(values.index[values == label][0])) + 1:,}" for label in single[:5])
        hint = "Give more rows of such a class, merge it into another, or empty the target there to leave the row out."
        raise DataError(
            f"{where} has {'a class' if len(single) == 1 else f'{len(single)} classes'} with one row: {shown} "
            f"(row {rows}); expected at least two rows of each class.",
            hint=f"{hint} Or use --task regression." if numeric else hint,
        )
    return tuple(labels), y
