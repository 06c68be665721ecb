"""Data and a small exported model that the deployment tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import linear_model
from numpy.typing import NDArray

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture(scope="session")
def three_classes() -> Rows:
    """Return 150 rows of 4 features with classes 0, 1, 2."""
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    return X.astype(np.float32), y.astype(np.int64)


@pytest.fixture(scope="session")
def two_classes() -> Rows:
    """Return 569 rows of 30 features, scaled, with classes 0, 1."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32), y.astype(np.int64)


@pytest.fixture(scope="session")
def values() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return 442 rows of 10 features with a number to predict."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return (X * 20).astype(np.float32), y.astype(np.float64)


@pytest.fixture
def linear_file(tmp_path: Path) -> Path:
    """Return a model of 3 features and 2 scores."""
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear_model())
    return path
