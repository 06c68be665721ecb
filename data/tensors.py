"""Prepare a data set of tensors: its target, its profile, its splits and its plan.

What the file holds is read in ``tensor_reading.py``; where the result is written, and when it is found again, is decided
in ``preparation.py``, as for tables. Beside the tensors (float32) the raw rows are kept in the file's own type.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from .profile import DataKind, DataProfile
from .splitting import SPLITS, split_beside, split_rows, strata_of
from .target import AUTO_MIN_ROWS_PER_CLASS, MAX_CLASSES, Target, read_target
from .tensor_planning import ENCODING, TensorPlan, fit_tensor_plan
from .tensor_reading import TensorTable

_KINDS: Mapping[str, DataKind] = {"t": "tokens", "tf": "sequence"}
_CHUNK_ROWS = 1024

Array = npt.NDArray[Any]


def read_tensor_target(table: TensorTable, name: str, *, task: str = "auto") -> Target:
    """Read the target of a data set of tensors.

    With ``task="auto"`` whole numbers are classes, up to 1,000 of them with at least 5 rows on average: labels of
    images are counted, where a column of a table may be a quantity.

    Args:
        table: The data set.
        name: What the target is called.
        task: ``auto``, ``classification`` or ``regression``.

    Raises:
        UnknownNameError: The task is none of the three.
        DataError: The target cannot be predicted; see ``read_target``. Or the names of the classes do not fit it.
    """
    y = table.y
    if table.classes is not None and task != "regression":
        return _named(table, y, name)
    if task == "auto" and y.dtype.kind in "iub":
        distinct = len(np.unique(y))
        few = distinct <= MAX_CLASSES and distinct * AUTO_MIN_ROWS_PER_CLASS <= len(y)
        task = "classification" if few else "regression"
    return read_target(_as_column(y, name), task=task, source=table.source)


def profile_tensors(table: TensorTable, target: Target) -> DataProfile:
    """Return what is known about a data set of tensors.

    Args:
        table: The data set.
        target: Its target.
    """
    rows = int(target.present.sum())
    duplicates = rows - _distinct(table.x[target.present] if rows < len(table.x) else table.x)
    warnings = list(target.warnings)
    if table.unused:
        warnings.append(f"arrays that mean nothing here are left out: {', '.join(table.unused)}")
    if duplicates:
        warnings.append(f"{duplicates:,} rows repeat an earlier one")
    if table.layout in ("hwc", "chw") and _could_be_both(table.x):
        warnings.append(f"both the second and the last axis could be channels; the layout is taken as {table.layout!r}")
    if table.layout == "hw" and min(table.x.shape[1:]) < 4:
        warnings.append("rows of two axes are taken as images of one channel; sequences say layout='tf'")
    return DataProfile(
        source=table.source,
        rows=rows,
        target=target.name,
        task=target.task,
        classes=target.classes,
        class_counts=target.class_counts,
        target_stats=_stats(target),
        columns=(),
        duplicate_rows=duplicates,
        warnings=tuple(warnings),
        kind=_KINDS.get(table.layout, "image"),
        shape=_shape(table),
    )


def write_tensors(
    table: TensorTable, target: Target, folder: Path, *, valid_fraction: float, test_fraction: float, seed: int
) -> dict[str, Any]:
    """Split, fit and write a data set of tensors into a folder.

    Args:
        table: The data set.
        target: Its target.
        folder: Where the arrays go: ``<split>_tensor.npy``, ``<split>_y.npy`` and ``<split>_rows.npy`` (raw).
        valid_fraction: The share of rows for validation; of those that are not in the file's own test split.
        test_fraction: The share of rows for the test, where the file has no test split.
        seed: Of the split.

    Returns:
        The parts of the record that say what was written: ``sizes`` and ``plans``.

    Raises:
        SpecError: A fraction is out of range.
        DataError: A class is in the file's test split only.
    """
    numbers = np.flatnonzero(target.present)  # rows of the file that have a target
    strata = strata_of(target.y, classes=None if target.classes is None else len(target.classes))
    if table.test is None:
        parts = split_rows(strata, valid_fraction=valid_fraction, test_fraction=test_fraction, seed=seed)
    else:
        held = int(np.searchsorted(numbers, table.test))
        _check_given_split(target, held, table)
        parts = split_beside(strata, test=np.arange(held, len(strata)), valid_fraction=valid_fraction, seed=seed)
    plan = fit_tensor_plan(table.x[numbers[parts["train"]]], layout=table.layout, vocabulary=_vocabulary(table))
    for split in SPLITS:
        rows = numbers[parts[split]]
        _write_tensor(folder / f"{split}_{ENCODING}.npy", table.x, rows, plan)
        np.save(folder / f"{split}_y.npy", target.y[parts[split]])
        np.save(folder / f"{split}_rows.npy", table.x[rows])
    return {"sizes": {split: len(parts[split]) for split in SPLITS}, "plans": {ENCODING: plan.to_dict()}}


def _write_tensor(path: Path, x: Array, rows: Array, plan: TensorPlan) -> None:
    """Write the rows as tensors, a chunk at a time."""
    dtype = np.int64 if plan.kind == "tokens" else np.float32
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(len(rows), *plan.shape))
    for start in range(0, len(rows), _CHUNK_ROWS):
        out[start : start + _CHUNK_ROWS] = plan.transform(x[rows[start : start + _CHUNK_ROWS]])
    out.flush()


def _named(table: TensorTable, y: Array, name: str) -> Target:
    """Read a target whose classes have names in the file; their order is the file's."""
    names = [str(label) for label in np.asarray(table.classes).reshape(-1)]
    where = f"{table.source}: the target {name!r}"
    if len(set(names)) < len(names):
        raise DataError(f"{table.source}: the names in 'classes' are not unique.", hint="Give each class its own name.")
    if y.dtype.kind in "iu":
        outside = y[(y < 0) | (y >= len(names))]
        if len(outside):
            raise DataError(
                f"{where} has the class {outside[0]}; expected 0 to {len(names) - 1}, as 'classes' has them."
            )
        y = np.array(names, dtype=object)[y]
    else:
        unknown = sorted(set(map(str, y)) - set(names))
        if unknown:
            raise DataError(f"{where} has the class {unknown[0]!r}, which 'classes' does not name.")
    found = read_target(_as_column(y, name), task="classification", source=table.source)
    sorted_classes = [str(label) for label in found.classes or ()]
    kept = [label for label in names if label in set(sorted_classes)]
    new_index = np.array([kept.index(label) for label in sorted_classes], dtype=np.int64)
    missing = [label for label in names if label not in set(kept)]
    warnings = found.warnings
    if missing:
        warnings = (*warnings, f"classes without a row are left out: {', '.join(missing[:5])}")
    return dataclasses.replace(found, classes=tuple(kept), y=new_index[found.y], warnings=warnings)


def _as_column(y: Array, name: str) -> pd.Series[Any]:
    """Return a target as a tidy column."""
    if y.dtype.kind in "US":
        texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in y]
        return pd.Series([text or None for text in texts], dtype=object, name=name)
    if y.dtype.kind in "iu":
        return pd.Series(y.astype(np.int64), name=name)
    if y.dtype.kind == "f":
        return pd.Series(y.astype(np.float64), name=name)
    if y.dtype.kind in "bO":
        return pd.Series(y, name=name)
    raise DataError(f"The target {name!r} has the type {y.dtype}; expected numbers or texts.")


def _check_given_split(target: Target, held: int, table: TensorTable) -> None:
    """Refuse a test split of the file that leaves a class without rows to learn from."""
    if target.classes is None:
        return
    for index, label in enumerate(target.classes):
        if int((target.y[:held] == index).sum()) < 2:
            raise DataError(
                f"{table.source}: class {label!r} has fewer than two rows in the training part.",
                hint="Give one pair of arrays, x and y: they are split so that every class is in each part.",
            )


def _stats(target: Target) -> Mapping[str, float]:
    if target.classes is not None:
        return {}
    from .profiling import moments

    return moments(target.y)


def _shape(table: TensorTable) -> tuple[int, ...]:
    if table.layout == "t":
        return table.x.shape[1:]
    from .tensor_transform import as_tensor

    return as_tensor(table.x[:1], table.layout).shape[1:]


def _vocabulary(table: TensorTable) -> int | None:
    if table.layout != "t":
        return None
    if table.x.min() < 0:
        raise DataError(f"{table.source}: a token is {table.x.min()}; expected whole numbers from 0.")
    return int(table.x.max()) + 1


def _distinct(x: Array) -> int:
    """Return how many rows differ from all earlier ones."""
    return len({hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest() for row in x})


def _could_be_both(x: Array) -> bool:
    return x.ndim == 4 and x.shape[1] in (1, 2, 3, 4) and x.shape[3] in (1, 2, 3, 4)
