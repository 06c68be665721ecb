"""Split rows into training, validation and test, and order them, stratified and seeded.

Within a split the rows stand in a *stratified order*: any prefix holds each stratum in its share (to within a few
rows), and a prefix at least as long as there are strata holds every one. So a share of the rows, as a fidelity, is a
prefix.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SpecError

SPLITS = ("train", "valid", "test")
MAX_BINS = 10
MIN_ROWS_PER_BIN = 10

Array = npt.NDArray[Any]


def strata_of(y: Array, *, classes: int | None) -> Array:
    """Return the stratum of each row: its class, or one of at most 10 bins of equal size by value.

    Args:
        y: The target, ``n`` class indices or values.
        classes: How many classes there are; None for regression.
    """
    if classes is not None:
        return y
    bins = max(1, min(MAX_BINS, len(y) // MIN_ROWS_PER_BIN))
    ranks = np.empty(len(y), dtype=np.int64)
    ranks[np.argsort(y, kind="stable")] = np.arange(len(y))
    return ranks * bins // len(y)


def split_rows(strata: Array, *, valid_fraction: float, test_fraction: float, seed: int) -> dict[str, Array]:
    """Split row numbers, each part in stratified order.

    Every stratum with at least three rows is in all three parts, one with two rows in training and validation.

    Args:
        strata: The stratum of each of ``n`` rows, integers from 0.
        valid_fraction: The share of rows for validation, above 0.
        test_fraction: The share of rows for the test, above 0; the two leave at least a tenth for training.
        seed: Of the shuffle.

    Returns:
        Row numbers (int64) by split: ``train``, ``valid``, ``test``; together each row once.

    Raises:
        SpecError: A fraction is out of range.
    """
    for name, fraction in (("valid_fraction", valid_fraction), ("test_fraction", test_fraction)):
        if not 0.0 < fraction < 1.0 or valid_fraction + test_fraction > 0.9:
            raise SpecError(
                f"{name} = {fraction}: expected a share between 0 and 1 that leaves at least 0.1 for training.",
                hint="The defaults are valid_fraction=0.2 and test_fraction=0.2.",
            )
    rng = np.random.default_rng(seed)
    parts = _dealt(strata, valid_fraction=valid_fraction, test_fraction=test_fraction, rng=rng)
    return {name: _ordered(rows, strata, rng) for name, rows in parts.items()}


def split_beside(strata: Array, *, test: Array, valid_fraction: float, seed: int) -> dict[str, Array]:
    """Split the rows that are not in a given test split, each part in stratified order.

    Args:
        strata: The stratum of each of ``n`` rows, integers from 0.
        test: The row numbers of the test split, at least one; at least two rows of other numbers are left.
        valid_fraction: The share of the other rows for validation, above 0 and at most 0.9.
        seed: Of the shuffle.

    Returns:
        Row numbers (int64) by split: ``train``, ``valid``, ``test``; together each row once.

    Raises:
        SpecError: The fraction is out of range.
    """
    if not 0.0 < valid_fraction <= 0.9:
        raise SpecError(
            f"valid_fraction = {valid_fraction}: expected a share between 0 and 1 that leaves at least 0.1 for training."
        )
    rng = np.random.default_rng(seed)
    others = np.setdiff1d(np.arange(len(strata)), test)
    dealt = _dealt(strata[others], valid_fraction=valid_fraction, test_fraction=0.0, rng=rng)
    parts = {"train": others[dealt["train"]], "valid": others[dealt["valid"]], "test": rng.permutation(test)}
    return {name: _ordered(rows, strata, rng) for name, rows in parts.items()}


def _dealt(strata: Array, *, valid_fraction: float, test_fraction: float, rng: np.random.Generator) -> dict[str, Array]:
    """Deal shuffled row numbers to the splits, stratum by stratum."""
    shuffled = rng.permutation(len(strata))
    parts: dict[str, list[Array]] = {name: [] for name in SPLITS}
    owed_valid = owed_test = 0.0  # what rounding has left over so far: totals are exact, not only each stratum nearly
    for stratum in np.unique(strata):
        rows = shuffled[strata[shuffled] == stratum]
        count = len(rows)
        owed_test += test_fraction * count
        owed_valid += valid_fraction * count
        test = int(np.clip(round(owed_test), 1 if count >= 3 and test_fraction else 0, max(count - 2, 0)))
        valid = int(np.clip(round(owed_valid), 1 if count >= 2 else 0, max(count - test - 1, 0)))
        owed_test -= test
        owed_valid -= valid
        for name, part in zip(("test", "valid", "train"), np.split(rows, [test, test + valid]), strict=True):
            parts[name].append(part)
    return {name: np.concatenate(parts[name]) for name in SPLITS}


def _ordered(rows: Array, strata: Array, rng: np.random.Generator) -> Array:
    """Return the rows in stratified order, one of each stratum first."""
    order = np.argsort(strata[rows], kind="stable")  # within a stratum the shuffled order stays
    rows = rows[order]
    _, first, counts = np.unique(strata[rows], return_index=True, return_counts=True)
    rank = np.arange(len(rows)) - np.repeat(first, counts)
    place = (rank + rng.random(len(rows))) / np.repeat(counts, counts)
    place[first] -= 1.0  # before all others, in random order
    return rows[np.argsort(place, kind="stable")].astype(np.int64)
