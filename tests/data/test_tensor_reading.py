from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.data import is_tensor_file, read_rows, read_tensors
from omniforge.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, size=(30, 8, 6), dtype=np.uint8)
Y = np.arange(30) % 3


def written(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


@pytest.mark.parametrize(
    ("x", "layout"),
    [
        (X, "hw"),
        (X[..., None], "hwc"),
        (np.zeros((30, 8, 6, 3)), "hwc"),
        (np.zeros((30, 3, 8, 6), dtype=np.float32), "chw"),
        (np.zeros((30, 3, 8, 3), dtype=np.uint8), "hwc"),
        (np.ones((30, 12), dtype=np.int64), "t"),
    ],
)
def test_the_layout_is_told_by_the_shape(tmp_path: Path, x: np.ndarray, layout: str) -> None:
    table = read_tensors(written(tmp_path, x=x, y=Y))
    assert (table.layout, table.test, len(table.x)) == (layout, None, 30)
    assert table.x.dtype == (np.float32 if x.dtype.kind == "f" else x.dtype)


def test_the_layout_can_be_said(tmp_path: Path) -> None:
    assert read_tensors(written(tmp_path, x=np.zeros((30, 8, 6)), y=Y, layout="tf")).layout == "tf"
    assert read_tensors(written(tmp_path, x=np.zeros((30, 3, 8, 3)), y=Y, layout="chw")).layout == "chw"


def test_a_test_split_of_the_file_is_kept_apart(tmp_path: Path) -> None:
    path = written(
        tmp_path, x_train=X[:20], y_train=Y[:20, None], x_test=X[20:], y_test=Y[20:], classes=["a", "b", "c"]
    )
    table = read_tensors(path)
    assert table.test == 20
    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y)
    assert list(table.classes) == ["a", "b", "c"]
    assert table.unused == ()


def test_another_target_and_what_is_left_over(tmp_path: Path) -> None:
    table = read_tensors(written(tmp_path, x=X, y=Y, age=Y * 10.0), "age")
    assert table.y[2] == 20.0
    assert table.unused == ("y",)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": X, "y": Y}, r"no array 'x' \(the rows\); it has 'images', 'y'"),
        ({"x": X, "labels": Y}, r"no array 'y' \(the target\)"),
        ({"x_train": X, "y_train": Y}, "no array 'x_test'"),
        ({"x": X, "y": Y[:7]}, "'x' has 30 rows and 'y' 7"),
        ({"x": X, "y": np.eye(3)[Y]}, "y.argmax"),
        ({"x": np.zeros((30, 5)), "y": Y}, "CSV or Parquet"),
        ({"x": np.zeros((30, 8, 6, 7)), "y": Y}, "layout='chw'"),
        ({"x": np.zeros((30, 2, 3, 4, 5)), "y": Y}, "5 axes"),
        ({"x": X[:0], "y": Y[:0]}, "nothing in it"),
        ({"x": X, "y": Y, "layout": "whc"}, "layout 'whc'"),
        ({"x": X, "y": Y, "layout": "hwc"}, "layout 'hwc'"),
        ({"x": np.array([["a"] * 3] * 30), "y": Y}, "expected numbers"),
        ({"x": np.array(3.0), "y": Y}, "no rows"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y}, "differ in the shape or the type"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_tensors(written(tmp_path, **arrays))
    assert says.replace("\\", "") in str(caught.value)


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    x = X.astype(np.float32)
    x[7, 0, 0] = np.inf
    with pytest.raises(DataError, match="not a finite number in row 8"):
        read_tensors(written(tmp_path, x=x, y=Y))


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "exploded").touch, ())

    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([Bomb()] * 30, dtype=object), y=Y)
    with pytest.raises(DataError, match="pickle"):
        read_tensors(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text", b"\x93NUMPY\x01\x00 cut"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_tensors(path)


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, x=RNG.normal(size=(30, 8, 6)), y=Y)
    path.write_bytes(path.read_bytes()[:4000])
    assert is_tensor_file(path)
    with pytest.raises(DataError, match="damaged or incomplete"):
        read_tensors(path)


def test_which_files_are_tensors(tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("sheet.xml", "<x/>")
    np.save(tmp_path / "rows.npy", X)
    written(tmp_path, x=X).rename(tmp_path / "unnamed")
    found = {path.name: is_tensor_file(path) for path in tmp_path.iterdir()}
    assert found == {"table.csv": False, "book.xlsx": False, "rows.npy": True, "unnamed": True}


def test_rows_to_predict(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", X)
    np.testing.assert_array_equal(read_rows(tmp_path / "rows.npy"), X)
    np.testing.assert_array_equal(read_rows(written(tmp_path, x=X, y=Y)), X)
    np.testing.assert_array_equal(read_rows(written(tmp_path, images=X)), X)
    np.testing.assert_array_equal(read_rows(written(tmp_path, x_train=X[:1], x_test=X)), X)
    with pytest.raises(DataError, match="has the arrays 'a', 'b'; expected 'x'"):
        read_rows(written(tmp_path, a=X, b=Y))
