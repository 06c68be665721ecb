"""Fit a feature plan on training rows: what ``transform.py`` then does to every row, as JSON.

Two encodings. ``ordinal`` (for trees) keeps numbers as they are and codes categories by falling frequency, so that a
missing category (-1) falls beside the most frequent one and an unseen one beside the rarest. ``onehot`` (for linear
models, neighbours and networks) standardizes numbers and gives each category a feature. In both a missing number
becomes the median, and a feature says so if the training rows have any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, UnknownNameError
from .profile import ColumnProfile, DataProfile
from .profiling import moments
from .transform import (
    DATETIME_PARTS,
    MISSING_TEXTS,
    Transform,
    as_array,
    boolean_of,
    category_of,
    datetime_values,
    number_of,
    read_datetimes,
    read_values,
)

ENCODINGS = ("ordinal", "onehot")
MAX_ORDINAL_CATEGORIES = 254  # with "other", the 255 that scikit-learn's histogram trees accept
MAX_ONEHOT_CATEGORIES = 64
MAX_ONEHOT_WIDTH = 2_048

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FeaturePlan:
    """How raw rows become features.

    Args:
        spec: The plan as JSON values (see ``transform.py``) with ``features``, the names of the features.
    """

    spec: Mapping[str, Any]

    @property
    def encoding(self) -> str:
        """For whom the features are: ``ordinal`` (trees) or ``onehot`` (all others)."""
        return str(self.spec["encoding"])

    @property
    def width(self) -> int:
        """How many features there are."""
        return int(self.spec["width"])

    @property
    def feature_names(self) -> list[str]:
        """The features' names, in order."""
        return list(self.spec["features"])

    @property
    def columns(self) -> list[str]:
        """The raw columns that are needed."""
        return [column["name"] for column in self.spec["columns"]]

    @property
    def categorical_features(self) -> dict[int, int]:
        """Of the ordinal encoding: the features that are codes, and how many codes besides "missing" each has."""
        if self.encoding != "ordinal":
            return {}
        coded = (column for column in self.spec["columns"] if column["kind"] == "categorical")
        return {column["at"]: len(column["categories"]) + 1 for column in coded}

    @cached_property
    def _transform(self) -> Transform:
        return Transform(self.spec)

    def transform(self, frame: pd.DataFrame) -> Array:
        """Return the features of ``n`` raw rows, float32 ``n x d`` without NaN.

        Raises:
            ValueError: A column is missing or a cell cannot be read; the message names it.
        """
        return self._transform(frame)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values, as ``transform.transform`` takes it."""
        return dict(self.spec)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeaturePlan:
        """Return the plan that ``to_dict`` described.

        Raises:
            DataError: It is no plan, or one of another version.
        """
        if values.get("version") != 1 or values.get("encoding") not in ENCODINGS:
            raise DataError(
                f"This is no feature plan of version 1 (version {values.get('version')!r}, encoding "
                f"{values.get('encoding')!r}).",
                hint="Prepare the data again.",
            )
        return cls(dict(values))


def fit_plan(rows: pd.DataFrame, profile: DataProfile, encoding: str) -> FeaturePlan:
    """Fit a plan on training rows.

    Args:
        rows: The training rows, tidy; the profile's columns are among theirs.
        profile: What the columns are.
        encoding: ``ordinal`` or ``onehot``.

    Raises:
        UnknownNameError: There is no such encoding.
    """
    if encoding not in ENCODINGS:
        raise UnknownNameError("encoding", encoding, ENCODINGS)
    onehot = encoding == "onehot"
    fitted = [
        _fit_categorical(rows[column.name])
        if column.kind == "categorical"
        else _fit_values(rows[column.name], column, scaled=onehot)
        for column in profile.features
    ]
    limit = _category_limit([len(column["categories"]) for column in fitted if "categories" in column], onehot=onehot)
    names: list[str] = []
    columns = [_placed(column, names, onehot=onehot, limit=limit) for column in fitted]
    return FeaturePlan(
        {
            "version": 1,
            "encoding": encoding,
            "missing": list(MISSING_TEXTS),
            "width": len(names),
            "features": names,
            "columns": columns,
        }
    )


def _category_limit(counts: Sequence[int], *, onehot: bool) -> int:
    """Return how many categories a column keeps: fewer where one-hot features would be too many in all."""
    if not onehot:
        return MAX_ORDINAL_CATEGORIES
    limit = MAX_ONEHOT_CATEGORIES
    while limit > 4 and sum(min(count, limit) for count in counts) > MAX_ONEHOT_WIDTH:
        limit //= 2
    return limit


def _fit_categorical(column: pd.Series[Any]) -> dict[str, Any]:
    """Return a column's categories, the most frequent first (equal ones by text), and whether some are missing."""
    counts: dict[str, int] = {}
    for value, count in column.value_counts().items():
        text = category_of(value)
        if text is not None:
            counts[text] = counts.get(text, 0) + int(count)
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    return {
        "name": str(column.name),
        "kind": "categorical",
        "categories": ordered,
        "missing": bool(column.isna().any()),
    }


def _fit_values(column: pd.Series[Any], profile: ColumnProfile, *, scaled: bool) -> dict[str, Any]:
    """Return how a numeric, boolean or datetime column is read, filled and scaled."""
    fitted: dict[str, Any] = {"name": profile.name, "kind": profile.kind}
    cells = as_array(column)
    if profile.kind == "datetime":
        times = read_datetimes(cells, profile.date_format or "ISO8601", name=profile.name)
        origin = (times.min() if times.notna().any() else pd.Timestamp(0)).normalize().isoformat()
        values = datetime_values(times, origin, DATETIME_PARTS)
        varied = [at for at in range(values.shape[1]) if len(np.unique(values[~np.isnan(values[:, at]), at])) > 1]
        varied = varied or [len(DATETIME_PARTS) - 1]
        parts = [DATETIME_PARTS[at] for at in varied]
        fitted |= {"format": profile.date_format or "ISO8601", "origin": origin, "parts": parts}
        values = values[:, varied]
    else:
        read = boolean_of if profile.kind == "boolean" else number_of
        values = read_values(cells, read, name=profile.name)[:, None]
    scalings = [_scaling(values[:, at], scaled=scaled) for at in range(values.shape[1])]
    return {
        **fitted,
        **{key: [scaling[key] for scaling in scalings] for key in ("fill", "center", "scale")},
        "missing": bool(np.isnan(values[:, 0]).any()),
    }


def _scaling(values: Array, *, scaled: bool) -> dict[str, Any]:
    """Return what a missing value becomes, and how values are standardized."""
    known = values[~np.isnan(values)]
    fill = float(np.median(known)) if len(known) else 0.0
    if not scaled or not len(known) or bool(np.isin(known, (0.0, 1.0)).all()):
        return {"fill": fill, "center": 0.0, "scale": 1.0}  # flags stay 0 and 1: a rare one must not become huge
    stats = moments(known)
    return {"fill": fill, "center": stats["mean"], "scale": stats["std"] if stats["std"] > 0 else 1.0}


def _placed(column: dict[str, Any], names: list[str], *, onehot: bool, limit: int) -> dict[str, Any]:
    """Return a column with the places of its features, which are added to ``names``."""
    start, name, missing = len(names), column["name"], column.pop("missing")
    if column["kind"] != "categorical":
        parts = column.get("parts")
        names += [f"{name}.{part}" for part in parts] if parts else [name]
        column["at"] = list(range(start, len(names)))
        column["indicator_at"] = len(names) if missing else None
        names += [f"{name} missing"] if missing else []
        return column
    rare = len(column["categories"]) > limit
    column["categories"] = column["categories"][:limit]
    if not onehot:
        names.append(name)
        return {**column, "at": start}
    names += [f"{name}={category}" for category in column["categories"]]
    column["at"] = list(range(start, len(names)))
    for key, label, wanted in (("other_at", "other", rare), ("missing_at", "missing", missing)):
        column[key] = len(names) if wanted else None
        names += [f"{name} {label}"] if wanted else []
    return column
