"""Fit a tensor plan on training rows: how raw images or sequences become what a model reads, as JSON.

Images and sequences are standardized, each channel or feature by its own mean and standard deviation over the training
rows (as in Krizhevsky et al. 2012 and all since); tokens stay as they are. ``tensor_transform.py`` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .tensor_transform import as_tensor, transform

ENCODING = "tensor"
_CHUNK_ROWS = 1024

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TensorPlan:
    """How raw rows become a tensor.

    Args:
        spec: The plan as a JSON object: ``kind``, ``layout``, ``dtype``, ``row_shape``, ``shape``, ``center``,
            ``scale``, ``low``, ``high``, ``vocabulary``.
    """

    spec: Mapping[str, Any]

    @property
    def encoding(self) -> str:
        """``tensor``."""
        return str(self.spec["encoding"])

    @property
    def kind(self) -> str:
        """``image``, ``sequence`` or ``tokens``."""
        return str(self.spec["kind"])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row that a model reads: ``c x h x w``, ``t x f`` or ``t``."""
        return tuple(self.spec["shape"])

    @property
    def vocabulary(self) -> int | None:
        """How many different tokens there are; None for images and sequences."""
        vocabulary: int | None = self.spec["vocabulary"]
        return vocabulary

    def transform(self, rows: Array) -> Array:
        """Turn raw rows into what a model reads.

        Args:
            rows: ``n`` raw rows, in the shape and type of the data file.

        Returns:
            float32 ``n x c x h x w`` or ``n x t x f``, or int64 ``n x t``.

        Raises:
            DataError: The rows do not fit the plan.
        """
        try:
            return transform(self.spec, rows)
        except ValueError as e:
            raise DataError(f"These rows cannot be read: {e}.") from e

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values; ``tensor_transform.transform`` reads it."""
        return dict(self.spec)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TensorPlan:
        """Return the plan that ``to_dict`` described.

        Raises:
            DataError: It is no plan, or one of another version.
        """
        if values.get("version") != 1 or values.get("encoding") != ENCODING:
            raise DataError(
                f"This is no tensor plan of version 1 (version {values.get('version')!r}, encoding "
                f"{values.get('encoding')!r}).",
                hint="Prepare the data again.",
            )
        return cls(dict(values))


def fit_tensor_plan(rows: Array, *, layout: str, vocabulary: int | None = None) -> TensorPlan:
    """Fit a plan on training rows.

    Args:
        rows: ``n`` raw training rows, ``n`` at least 1, all finite.
        layout: ``"hw"``, ``"hwc"``, ``"chw"``, ``"tf"`` or ``"t"``.
        vocabulary: How many different tokens there are; for the layout ``"t"`` only.
    """
    kind = {"tf": "sequence", "t": "tokens"}.get(layout, "image")
    center: list[float] = []
    scale: list[float] = []
    shape = rows.shape[1:]
    if kind != "tokens":
        shape = as_tensor(rows[:1], layout).shape[1:]
        center, scale = _moments(rows, layout, channel_axis=1 if kind == "image" else 2)
    return TensorPlan(
        {
            "version": 1,
            "encoding": ENCODING,
            "kind": kind,
            "layout": layout,
            "dtype": str(rows.dtype),
            "row_shape": [int(size) for size in rows.shape[1:]],
            "shape": [int(size) for size in shape],
            "center": center,
            "scale": scale,
            "low": float(rows.min()),
            "high": float(rows.max()),
            "vocabulary": vocabulary,
        }
    )


def _moments(rows: Array, layout: str, *, channel_axis: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel; 1 for the deviation of a constant one. In two passes."""
    axes = tuple(axis for axis in range(len(as_tensor(rows[:1], layout).shape)) if axis != channel_axis)
    parts = [rows[start : start + _CHUNK_ROWS] for start in range(0, len(rows), _CHUNK_ROWS)]
    channels = as_tensor(rows[:1], layout).shape[channel_axis]
    count = rows.size / channels
    mean = sum(as_tensor(part, layout).sum(axis=axes, dtype=np.float64) for part in parts) / count
    along = [1] * (len(axes) + 1)
    along[channel_axis] = -1
    squares = sum(((as_tensor(part, layout) - mean.reshape(along)) ** 2).sum(axis=axes) for part in parts)
    deviation = np.sqrt(squares / count)
    tiny = deviation <= 1e-6 * np.maximum(1.0, np.abs(mean))
    return mean.tolist(), np.where(tiny, 1.0, deviation).tolist()
