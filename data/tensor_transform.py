"""Apply a tensor plan: raw images, sequences or tokens become what a model reads.

Self-contained on purpose, like ``transform.py``: only numpy, no import from the package. The source of this module is
pasted into the ``predict.py`` of a model of tensors. Fitting a plan is ``tensor_planning.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_CHUNK_ROWS = 1024
# Where the axes of a raw row go, by its layout; "hw" gets a channel of its own before that.
_AXES = {"hw": (0, 1, 2, 3), "hwc": (0, 3, 1, 2), "chw": (0, 1, 2, 3), "tf": (0, 1, 2)}


def transform(plan: Mapping[str, Any], rows: np.ndarray) -> np.ndarray:
    """Turn raw rows into the tensor that a model reads.

    Args:
        plan: The plan's JSON object.
        rows: ``n`` raw rows as the data file had them: the shape of a row and whole numbers or fractions as in training.

    Returns:
        Images as float32 ``n x c x h x w``, sequences as float32 ``n x t x f``, standardized per channel or feature;
        tokens as int64 ``n x t``.

    Raises:
        ValueError: The rows have another shape or type, a value is not finite, or a token is not of the vocabulary.
    """
    if plan.get("version") != 1 or plan.get("encoding") != "tensor":
        raise ValueError(f"tensor plan version {plan.get('version')!r} is not supported; expected 1")
    rows = np.asarray(rows)
    _check_rows(plan, rows)
    if plan["kind"] == "tokens":
        _check_tokens(rows, plan["vocabulary"])
        return np.ascontiguousarray(rows, dtype=np.int64)
    out = np.empty((len(rows), *plan["shape"]), dtype=np.float32)
    along = (1, -1, 1, 1) if plan["kind"] == "image" else (1, 1, -1)
    center, scale = (np.array(plan[key], dtype=np.float32).reshape(along) for key in ("center", "scale"))
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = out[start : start + _CHUNK_ROWS]
        raw = as_tensor(rows[start : start + _CHUNK_ROWS], plan["layout"])
        np.subtract(raw, center, out=part, casting="unsafe")
        part /= scale
        finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if not finite.all():
            raise ValueError(f"row {start + int(np.argmin(finite)) + 1:,} has a value that is not a finite number")
    return out


def as_tensor(rows: np.ndarray, layout: str) -> np.ndarray:
    """Return a view of raw rows with the axes of the model's input.

    Args:
        rows: ``n`` raw rows.
        layout: ``"hw"``, ``"hwc"``, ``"chw"`` (images) or ``"tf"`` (sequences: steps, features).
    """
    return np.transpose(rows[:, None] if layout == "hw" else rows, _AXES[layout])


def _check_rows(plan: Mapping[str, Any], rows: np.ndarray) -> None:
    expected = tuple(plan["row_shape"])
    if rows.shape[1:] != expected or rows.ndim != len(expected) + 1:
        wanted = " x ".join(["n", *(str(size) for size in expected)])
        hint = "; a single row needs an axis of its own in front: rows[None]" if rows.shape == expected else ""
        raise ValueError(f"an array of the shape {rows.shape}; expected {wanted}, as in training{hint}")
    whole = np.dtype(plan["dtype"]).kind in "iub"
    if rows.dtype.kind not in ("iub" if whole else "f"):
        wanted = "whole numbers" if whole else "fractions"
        raise ValueError(
            f"values of the type {rows.dtype}; expected {wanted} ({plan['dtype']}), from {plan['low']:g} to "
            f"{plan['high']:g} as in training"
        )


def _check_tokens(rows: np.ndarray, vocabulary: int) -> None:
    wrong = (rows < 0) | (rows >= vocabulary)
    if wrong.any():
        row, step = (int(at) for at in np.argwhere(wrong)[0])
        raise ValueError(f"token {rows[row, step]} in row {row + 1:,}; expected 0 to {vocabulary - 1}")
