"""Small images with their prepared data, and small configurations of the family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.data import PreparedData, prepare
from omniforge.estimators import load_bundle

ROWS = 240
SMALL = {
    "cnn": {
        "architecture.cnn.stem_width": 8,
        "architecture.cnn.stem_stride": 1,
        "architecture.cnn.stages": 1,
        "architecture.cnn.stages[0].width": 16,
    },
    "transformer": {
        "architecture.transformer.grid": 4,
        "architecture.transformer.width": 32,
        "architecture.transformer.depth": 1,
    },
}


def small(architecture: str, **changes: Any) -> dict[str, Any]:
    """Return a small configuration of the image family, with changed settings."""
    chosen = {"architecture": architecture, **SMALL[architecture], "batch_size": 32, **changes}
    return load_bundle("image").space.complete(chosen)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's digits, 240 images of 8 x 8, ten classes."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    x, y = load_digits(return_X_y=True)
    np.savez(folder / "digits.npz", x=x[:ROWS].reshape(-1, 8, 8).astype(np.uint8), y=y[:ROWS])
    prepare(folder / "digits.npz", "y", folder / "prepared")
    return folder / "prepared"


@pytest.fixture(scope="session")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour images whose target is a value: how bright they are."""
    folder = tmp_path_factory.mktemp("brightness")
    rng = np.random.default_rng(0)
    level = rng.uniform(0.2, 1.0, size=ROWS)
    x = (rng.uniform(0, 255, size=(ROWS, 9, 7, 3)) * level[:, None, None, None]).astype(np.uint8)
    np.savez(folder / "lamps.npz", x=x, y=1000 * level)
    prepare(folder / "lamps.npz", "y", folder / "prepared")
    return folder / "prepared"


@pytest.fixture
def images(digits: Path) -> tuple[np.ndarray, np.ndarray]:
    """The training images, normalized, ``n x 1 x 8 x 8``, and their classes."""
    return PreparedData.load(digits).arrays("train", "tensor")
