from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import linear_model

from omniforge.cli.bench_subject import find_subject, read_rows
from omniforge.errors import DataError, MeasurementError, SpecError

VALUES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear_model())
    return path


@pytest.mark.parametrize("text", ["a,b,c\n1,2,3\n4,5,6.5\n", "1,2,3\n4,5,6.5\n", "\ufeff1,2,3\n4,5,6.5"])
def test_a_csv_file_of_numbers_may_have_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_rows(tmp_path / "rows.csv"), VALUES)


def test_numpy_files_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", VALUES)
    np.savez(tmp_path / "rows.npz", y=np.zeros(2), x=VALUES)
    np.savez(tmp_path / "other.npz", images=VALUES)
    for name in ("rows.npy", "rows.npz", "other.npz"):
        np.testing.assert_array_equal(read_rows(tmp_path / name), VALUES)


@pytest.mark.parametrize("content", [b"a,b\nred,blue\n", b"", b"\x00\xff\xfe", b"1,2\n3\n"])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("rows.csv", "rows.npy", "rows.npz"):
        if content == b"" and name == "rows.csv":
            continue  # no rows: what measures says so
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_rows(tmp_path / name)
    with pytest.raises(DataError, match="no file"):
        read_rows(tmp_path / "none.npy")


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        read_rows(tmp_path / "rows.npy")


def test_without_rows_random_ones_stand_in_and_are_called_so(model: Path) -> None:
    subject = find_subject(str(model), None)
    assert subject.rows.shape[1:] == (3,)
    assert subject.rows.dtype == np.float32
    assert "random" in subject.source
    assert subject.random


def test_given_rows_are_taken(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", VALUES)
    subject = find_subject(str(model), tmp_path / "rows.npy")
    np.testing.assert_array_equal(subject.rows, VALUES)
    assert subject.source == str(tmp_path / "rows.npy")


def test_a_missing_file_and_a_broken_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.onnx"):
        find_subject(str(tmp_path / "none.onnx"), None)
    for suffix in (".xml", ".so", ".engine"):
        with pytest.raises(SpecError, match=f"no model file .*{suffix}"):
            find_subject(str(tmp_path / f"model{suffix}"), None)
        (tmp_path / f"model{suffix}").write_bytes(b"compiled")
        with pytest.raises(SpecError, match="needs rows"):
            find_subject(str(tmp_path / f"model{suffix}"), None)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(MeasurementError, match=r"broken\.onnx"):
        find_subject(str(tmp_path / "broken.onnx"), None)
