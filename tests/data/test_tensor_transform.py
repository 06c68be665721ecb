from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.data import tensor_transform
from omniforge.data.tensor_planning import fit_tensor_plan
from omniforge.data.tensor_transform import transform

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(50, 6, 5, 3), dtype=np.uint8)


def plan_of(rows: np.ndarray, layout: str, **more: Any) -> dict[str, Any]:
    return fit_tensor_plan(rows, layout=layout, **more).to_dict()


@pytest.mark.parametrize(
    ("rows", "layout", "shape"),
    [
        (PIXELS, "hwc", (3, 6, 5)),
        (np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)), "chw", (3, 6, 5)),
        (PIXELS[..., 0], "hw", (1, 6, 5)),
        (PIXELS[..., 0].astype(np.float32), "hw", (1, 6, 5)),
        (PIXELS[..., 0].astype(np.float32), "tf", (6, 5)),
    ],
)
def test_channels_come_first_and_are_standardized(rows: np.ndarray, layout: str, shape: tuple[int, ...]) -> None:
    tensor = transform(plan_of(rows, layout), rows)
    assert (tensor.dtype, tensor.shape) == (np.float32, (50, *shape))
    axes = (0, 1) if layout == "tf" else (0, 2, 3)
    np.testing.assert_allclose(tensor.mean(axis=axes, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(tensor.std(axis=axes, dtype=np.float64), 1, atol=1e-5)


def test_every_layout_of_the_same_images_gives_the_same_tensor() -> None:
    first = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(transform(plan_of(PIXELS, "hwc"), PIXELS), transform(plan_of(first, "chw"), first))


def test_rows_are_independent_of_each_other() -> None:
    many = np.repeat(PIXELS, 50, axis=0)  # more than one chunk
    plan = plan_of(PIXELS, "hwc")
    np.testing.assert_array_equal(transform(plan, many)[::50], transform(plan, PIXELS))
    assert transform(plan, PIXELS[:0]).shape == (0, 3, 6, 5)


def test_tokens_stay_as_they_are() -> None:
    tokens = RNG.integers(0, 9, size=(20, 7), dtype=np.int32)
    plan = plan_of(tokens, "t", vocabulary=9)
    result = transform(plan, tokens)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, tokens)
    with pytest.raises(ValueError, match="token 9 in row 2; expected 0 to 8"):
        transform(plan, np.array([[0] * 7, [9] * 7]))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (PIXELS[0], r"expected n x 6 x 5 x 3, as in training; a single row needs an axis of its own in front"),
        (PIXELS[:, :5], r"shape \(50, 5, 5, 3\); expected n x 6 x 5 x 3"),
        (PIXELS / 255.0, "expected whole numbers .uint8., from 0 to 255"),
        (np.float32(3.0), "shape"),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        transform(plan_of(PIXELS, "hwc"), rows)


def test_a_row_that_is_not_finite_is_named() -> None:
    rows = PIXELS.astype(np.float32)
    plan = plan_of(rows, "hwc")
    rows[3, 2, 2, 1] = np.nan
    with pytest.raises(ValueError, match="row 4 has a value that is not a finite number"):
        transform(plan, rows)


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2 is not supported"):
        transform({**plan_of(PIXELS, "hwc"), "version": 2}, PIXELS)


def test_it_stands_alone(tmp_path: Path) -> None:
    """Its source is pasted into other files, where the package is not installed."""
    copy = tmp_path / "alone.py"
    copy.write_text(Path(tensor_transform.__file__).read_text())
    code = "import alone, sys; assert not any(m.startswith(('omniforge', 'pandas')) for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
