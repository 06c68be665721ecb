"""How much of a target one column alone explains: the correlation ratio, cheap enough for every column.

The share of variance between groups, eta squared (Fisher 1925): 1 if the column determines the target, 0 if it says
nothing. A numeric column is cut into at most 16 groups of equal size; a categorical column's groups are its categories.
The chance level, (groups - 1) / (rows - 1), is taken off (Kelley's epsilon squared, 1935), so that many small groups do
not look like knowledge. For classes the variance is that of the one-hot target, as in Goodman and Kruskal's tau.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_GROUPS = 16
MAX_ROWS = 5_000

Array = npt.NDArray[Any]


def signal(cells: Array, y: Array, *, classes: int | None) -> float:
    """Return the share of the target that a column explains, between 0 and 1.

    Args:
        cells: The column, ``n`` numbers (NaN for missing; cut into groups) or other values (each its own group).
        y: The target, ``n`` class indices or values.
        classes: How many classes there are; None for regression.
    """
    groups = _groups(cells)
    sizes = np.bincount(groups)
    sizes, groups = sizes[sizes > 0], np.unique(groups, return_inverse=True)[1]
    if len(sizes) < 2 or len(sizes) == len(y):
        return 0.0
    if classes is None:
        within, total = _variances(groups, sizes, y)
    else:
        table = np.bincount(groups * classes + y, minlength=len(sizes) * classes).reshape(len(sizes), classes)
        total = len(y) - float((np.bincount(y, minlength=classes) ** 2).sum()) / len(y)
        within = len(y) - float(((table**2).sum(axis=1) / sizes).sum())
    if total <= 0.0:
        return 0.0
    explained = 1.0 - (within / (len(y) - len(sizes))) / (total / (len(y) - 1))
    return float(np.clip(explained, 0.0, 1.0))


def _variances(groups: Array, sizes: Array, y: Array) -> tuple[float, float]:
    """Return the sums of squares within the groups and in all."""
    centred = y - y.mean()
    means = np.bincount(groups, weights=centred) / sizes
    return float(((centred - means[groups]) ** 2).sum()), float((centred**2).sum())


def _groups(cells: Array) -> Array:
    """Return the group of each cell, 0 ... g - 1; missing cells are a group of their own."""
    if cells.dtype.kind != "f":
        return pd.factorize(cells, use_na_sentinel=True)[0] + 1
    known = cells[~np.isnan(cells)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MAX_GROUPS + 1)[1:-1])) if len(known) else known
    return np.where(np.isnan(cells), 0, np.searchsorted(edges, cells, side="left") + 1)
