"""Tables that the tests of data/ share; made here, or scikit-learn's."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def mixed() -> pd.DataFrame:
    """A table of 400 rows with every usable kind of column, missing cells and a class target."""
    rng = np.random.default_rng(0)
    n = 400
    age = rng.integers(18, 80, n).astype(float)
    city = rng.choice(["Rome", "Oslo", "Bern", "Lima"], n, p=[0.5, 0.3, 0.15, 0.05]).astype(object)
    frame = pd.DataFrame(
        {
            "ref": [f"R-{i:05d}" for i in range(n)],
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "income": rng.lognormal(10, 1, n).round(2),
            "city": pd.Series(city).mask(rng.random(n) < 0.05, None),
            "children": rng.choice(["0", "1", "2", "3+"], n),
            "member": rng.random(n) < 0.5,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"),
            "branch": "main",
        }
    )
    frame["bought"] = np.where((age > 50) ^ (rng.random(n) < 0.1), "yes", "no")
    return frame


@pytest.fixture
def mixed_csv(mixed: pd.DataFrame, tmp_path: Path) -> Path:
    """The same as a gzipped CSV file, missing cells written as ``?``."""
    path = tmp_path / "mixed.csv.gz"
    with gzip.open(path, "wt") as file:
        mixed.to_csv(file, index=False, na_rep="?")
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a text file and return its path."""

    def written(text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return written
