"""Preparing data sets of tensors, by way of ``prepare``: what a user calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.data import PreparedData, prepare
from omniforge.errors import DataError, SpecError, UnknownNameError

RNG = np.random.default_rng(0)
COUNT = 300
X = RNG.integers(0, 256, size=(COUNT, 8, 6, 3), dtype=np.uint8)
Y = RNG.integers(0, 3, size=COUNT)


def prepared(folder: Path, *, target: str = "y", arrays: dict[str, Any] | None = None, **options: Any) -> PreparedData:
    np.savez(folder / "data.npz", **(arrays or {"x": X, "y": Y}))
    return prepare(folder / "data.npz", target, folder / "prepared", **options)


def test_tensors_are_split_normalized_and_mapped(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert (data.task, data.classes, data.sizes) == (
        "classification",
        [0, 1, 2],
        {"train": 180, "valid": 60, "test": 60},
    )
    assert (data.encodings, data.usual_encoding, data.width) == (("tensor",), "tensor", 3 * 8 * 6)
    x, y = data.arrays("train", "tensor")
    assert isinstance(x, np.memmap)
    assert (x.dtype, x.shape, y.dtype) == (np.float32, (180, 3, 8, 6), np.int64)
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    assert data.arrays("train+valid", "tensor")[0].shape == (240, 3, 8, 6)


def test_raw_rows_are_kept_in_the_type_of_the_file(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    for split in ("train", "valid", "test"):
        rows = data.rows(split)
        assert (rows.dtype, rows.shape[1:]) == (np.uint8, (8, 6, 3))
        x, y = data.arrays(split, "tensor")
        np.testing.assert_array_equal(data.plan("tensor").transform(rows), x)
        np.testing.assert_array_equal(data.labels(split), y)


def test_every_row_is_in_one_split_with_its_target(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    pairs = {
        (row.tobytes(), int(label))
        for split in ("train", "valid", "test")
        for row, label in zip(data.rows(split), data.labels(split), strict=True)
    }
    assert pairs == {(row.tobytes(), int(label)) for row, label in zip(X, Y, strict=True)}


def test_a_share_of_the_rows_has_every_class(tmp_path: Path) -> None:
    _, y = prepared(tmp_path).arrays("train", "tensor", rows=0.05)
    assert len(y) == 9
    assert set(y) == {0, 1, 2}


def test_the_same_file_is_found_again(tmp_path: Path) -> None:
    first = prepared(tmp_path)
    before = (first.root / "prepared.json").stat().st_mtime_ns
    again = prepare(tmp_path / "data.npz", "y", tmp_path / "prepared")
    assert again.key == first.key
    assert (again.root / "prepared.json").stat().st_mtime_ns == before
    assert prepare(tmp_path / "data.npz", "y", tmp_path / "prepared", seed=1).key != first.key


def test_the_file_s_own_test_split_is_respected(tmp_path: Path) -> None:
    arrays = {"x_train": X[:200], "y_train": Y[:200], "x_test": X[200:], "y_test": Y[200:]}
    data = prepared(tmp_path, arrays=arrays)
    assert data.sizes == {"train": 160, "valid": 40, "test": 100}
    assert {row.tobytes() for row in data.rows("test")} == {row.tobytes() for row in X[200:]}
    np.testing.assert_allclose(data.arrays("train", "tensor")[0].std(axis=(0, 2, 3)), 1, atol=1e-4)


def test_classes_have_the_names_and_the_order_of_the_file(tmp_path: Path) -> None:
    arrays = {"x": X, "y": Y, "classes": ["truck", "bird", "cat", "ghost"]}
    data = prepared(tmp_path, arrays=arrays)
    assert data.classes == ["truck", "bird", "cat"]
    assert data.profile.class_counts == tuple(np.bincount(Y))
    assert any("ghost" in warning for warning in data.profile.warnings)
    labels = dict(zip((row.tobytes() for row in X), Y, strict=True))
    assert all(labels[row.tobytes()] == y for row, y in zip(data.rows("test"), data.labels("test"), strict=True))
    named = prepared(tmp_path, arrays={**arrays, "y": np.array(["truck", "bird", "cat"])[Y]})
    np.testing.assert_array_equal(named.labels("train"), data.labels("train"))


def test_texts_and_many_whole_numbers_are_classes(tmp_path: Path) -> None:
    assert prepared(tmp_path, arrays={"x": X, "y": np.array(["b", "a", "c"])[Y]}).classes == ["a", "b", "c"]
    many = prepared(tmp_path, arrays={"x": X, "y": np.arange(COUNT) % 30})
    assert many.classes == list(range(30))


def test_values_are_a_regression_and_rows_without_one_are_left_out(tmp_path: Path) -> None:
    y = RNG.normal(size=COUNT)
    y[5] = np.nan
    data = prepared(tmp_path, arrays={"x": X, "y": y})
    assert (data.task, data.classes, data.profile.rows) == ("regression", None, COUNT - 1)
    assert sum(data.sizes.values()) == COUNT - 1
    assert data.labels("train").dtype == np.float64
    assert X[5].tobytes() not in {row.tobytes() for split in ("train", "valid", "test") for row in data.rows(split)}


def test_tokens_and_sequences(tmp_path: Path) -> None:
    tokens = prepared(tmp_path, arrays={"x": RNG.integers(0, 50, size=(COUNT, 12)), "y": Y})
    assert (tokens.profile.kind, tokens.plan("tensor").vocabulary) == ("tokens", 50)
    assert tokens.arrays("valid", "tensor")[0].dtype == np.int64
    steps = prepared(tmp_path, arrays={"x": RNG.normal(size=(COUNT, 12, 2)), "y": Y, "layout": "tf"})
    assert (steps.profile.kind, steps.profile.shape) == ("sequence", (12, 2))


def test_the_profile_says_what_there_is(tmp_path: Path) -> None:
    x = np.concatenate([X, X[:3]])
    data = prepared(tmp_path, arrays={"x": x, "y": np.concatenate([Y, Y[:3]]), "weights": Y})
    profile = PreparedData.load(data.root).profile
    assert (profile.kind, profile.shape, profile.contents) == ("image", (3, 8, 6), "images of 3 x 8 x 6")
    assert profile.duplicate_rows == 3
    assert any("weights" in warning for warning in profile.warnings)
    assert any("3 rows repeat" in warning for warning in profile.warnings)
    assert all(-20 <= value <= 20 for value in profile.meta_features().values())
    assert profile.meta_features()["log_columns"] == pytest.approx(np.log10(3 * 8 * 6))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": X, "y": np.zeros(COUNT, dtype=int)}, "expected at least two values"),
        ({"x": X, "y": np.concatenate([[2], Y[1:] % 2])}, "a class with one row"),
        ({"x": X, "y": Y, "classes": ["a", "b"]}, "the class 2; expected 0 to 1"),
        ({"x": X, "y": Y, "classes": ["a", "b", "a"]}, "not unique"),
        ({"x": X, "y": np.array(["a", "b", "q"])[Y], "classes": ["a", "b", "c"]}, "'q'"),
        ({"x": X[:5], "y": Y[:5]}, "expected at least 10"),
        ({"x": X[:, 0, :, 0].astype(int) - 9, "y": Y}, "expected whole numbers from 0"),
        ({"x": X, "y": Y * 1j}, "complex"),
        (
            {"x_train": X[:200], "y_train": Y[:200] % 2, "x_test": X[200:], "y_test": Y[200:]},
            "class 2 has fewer than two rows in the training part",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused_and_nothing_written(
    tmp_path: Path, arrays: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, arrays=arrays)
    assert says in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data.npz"]


def test_options_of_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'drop' is for tables"):
        prepared(tmp_path, drop=["a"])
    with pytest.raises(SpecError, match="valid_fraction"):
        prepared(tmp_path, valid_fraction=0.0)


def test_encodings_of_tables_are_not_there(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    with pytest.raises(UnknownNameError, match="onehot"):
        data.plan("onehot")
    with pytest.raises(UnknownNameError, match="ordinal"):
        data.arrays("train", "ordinal")
