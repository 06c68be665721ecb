"""What is known about a table or a set of tensors: its columns or its shape, its task, and what to be careful about.

Plain values, no data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["numeric", "categorical", "boolean", "datetime", "identifier", "constant"]
Task = Literal["classification", "regression"]
DataKind = Literal["table", "image", "sequence", "tokens"]
Label = bool | int | float | str  # a class, as the file has it

FEATURE_KINDS: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "datetime")


@dataclass(frozen=True)
class ColumnProfile:
    """One column that is not the target.

    Args:
        name: Its name.
        kind: What it is. Identifiers and constants are left out of the features.
        dtype: The type it was read as.
        missing: How many rows have no value.
        distinct: How many different values there are, missing not counted.
        minimum, maximum, mean, std, skewness: Of numeric columns.
        top: The most frequent values of categorical columns with their counts, at most 10.
        date_format: How the texts of a datetime column are read.
        signal: The share of the target that this column alone explains, between 0 and 1 (see ``association.py``).
        note: Why the column is of this kind, where that is not obvious.
    """

    name: str
    kind: Kind
    dtype: str
    missing: int
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    skewness: float | None = None
    top: tuple[tuple[str, int], ...] = ()
    date_format: str | None = None
    signal: float = 0.0
    note: str | None = None

    @property
    def used(self) -> bool:
        """Whether the column becomes features."""
        return self.kind in FEATURE_KINDS

    def to_dict(self) -> dict[str, Any]:
        """Return the column as JSON values; what does not apply is left out."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["top"] = [list(pair) for pair in self.top]
        return {key: value for key, value in values.items() if value is not None and value != []}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ColumnProfile:
        """Return the column that ``to_dict`` described."""
        return cls(**{**values, "top": tuple((text, count) for text, count in values.get("top", ()))})


@dataclass(frozen=True)
class DataProfile:
    """A table, or a set of tensors, and its target.

    Args:
        source: The file, as it was given.
        rows: Rows with a target.
        target: The target's name.
        task: What is to be predicted.
        classes: The classes in order, with the types that the file has; None for regression.
        class_counts: Rows of each class; None for regression.
        target_stats: ``mean``, ``std``, ``minimum``, ``maximum``, ``skewness`` of a regression target; else empty.
        columns: All other columns, in the file's order.
        dropped: Columns that the user left out.
        duplicate_rows: Rows that repeat an earlier row, target included.
        warnings: What was decided and could surprise, in full sentences.
        kind: What a row is; ``columns`` is empty unless it is a table's.
        shape: The shape of a row that is a tensor, as a model reads it (``c x h x w``, ``t x f``, ``t``); else empty.
    """

    source: str
    rows: int
    target: str
    task: Task
    classes: tuple[Label, ...] | None
    class_counts: tuple[int, ...] | None
    target_stats: Mapping[str, float]
    columns: tuple[ColumnProfile, ...]
    dropped: tuple[str, ...] = ()
    duplicate_rows: int = 0
    warnings: tuple[str, ...] = ()
    kind: DataKind = "table"
    shape: tuple[int, ...] = ()

    @property
    def features(self) -> tuple[ColumnProfile, ...]:
        """The columns that become features."""
        return tuple(column for column in self.columns if column.used)

    @property
    def contents(self) -> str:
        """What the rows are, for people: ``"12 columns used"``, ``"images of 3 x 32 x 32"``."""
        if self.kind == "table":
            return f"{len(self.features)} columns used"
        plural = {"image": "images", "sequence": "sequences"}.get(self.kind, self.kind)
        return f"{plural} of {' x '.join(str(size) for size in self.shape)}"

    def meta_features(self) -> dict[str, float]:
        """Return numbers that say how alike two data sets are; see ``meta_features.py``."""
        from .meta_features import meta_features

        return meta_features(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **values,
            "classes": None if self.classes is None else list(self.classes),
            "class_counts": None if self.class_counts is None else list(self.class_counts),
            "target_stats": dict(self.target_stats),
            "columns": [column.to_dict() for column in self.columns],
            "dropped": list(self.dropped),
            "warnings": list(self.warnings),
            "shape": list(self.shape),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataProfile:
        """Return the profile that ``to_dict`` described."""
        return cls(
            **{
                **values,
                "classes": None if values["classes"] is None else tuple(values["classes"]),
                "class_counts": None if values["class_counts"] is None else tuple(values["class_counts"]),
                "columns": tuple(ColumnProfile.from_dict(column) for column in values["columns"]),
                "dropped": tuple(values["dropped"]),
                "warnings": tuple(values["warnings"]),
                "shape": tuple(values.get("shape", ())),
            }
        )
