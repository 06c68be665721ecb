from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from omniforge.data import PreparedData, prepare
from omniforge.data.prepared import RECORD_NAME
from omniforge.errors import DataError, SpecError, UnknownNameError


@pytest.fixture
def data(mixed_csv: Path, tmp_path: Path) -> PreparedData:
    return PreparedData.load(prepare(mixed_csv, "bought", tmp_path / "out").root)


def test_what_it_says(data: PreparedData) -> None:
    assert data.task == "classification"
    assert data.classes == ["no", "yes"]
    assert data.target == "bought"
    assert data.source == "mixed.csv.gz"
    assert data.sizes == {"train": 240, "valid": 80, "test": 80}
    assert data.profile.rows == 400
    assert len(data.data_version) == 64


@pytest.mark.parametrize("encoding", ["ordinal", "onehot"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_arrays_are_the_plan_applied_to_the_rows(data: PreparedData, split: str, encoding: str) -> None:
    x, y = data.arrays(split, encoding)
    rows = data.rows(split)
    np.testing.assert_array_equal(x, data.plan(encoding).transform(rows))
    assert [(data.classes or [])[code] for code in y] == rows["bought"].tolist()
    assert (str(x.dtype), str(y.dtype)) == ("float32", "int64")
    assert x.shape == (data.sizes[split], data.plan(encoding).width)


def test_arrays_are_memory_mapped_and_read_only(data: PreparedData) -> None:
    x, y = data.arrays("train", "onehot")
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable
    assert not y.flags.writeable


def test_splits_can_be_joined(data: PreparedData) -> None:
    x, y = data.arrays("train+valid", "ordinal")
    assert len(x) == len(y) == 320
    np.testing.assert_array_equal(x[240:], data.arrays("valid", "ordinal")[0])


@pytest.mark.parametrize("share", [0.01, 0.1, 0.37, 0.5, 1.0])
def test_a_share_of_the_rows_is_a_stratified_prefix(data: PreparedData, share: float) -> None:
    x, y = data.arrays("train", "ordinal", rows=share)
    whole, labels = data.arrays("train", "ordinal")
    assert len(x) == max(math.ceil(share * 240), 2)
    np.testing.assert_array_equal(x, whole[: len(x)])
    assert set(y) == {0, 1}
    assert (y == 1).mean() == pytest.approx((labels == 1).mean(), abs=0.05 + 1 / len(y))


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_out_of_range(data: PreparedData, share: float) -> None:
    with pytest.raises(SpecError, match="rows ="):
        data.arrays("train", "ordinal", rows=share)


def test_unknown_names(data: PreparedData) -> None:
    with pytest.raises(UnknownNameError, match="no split named 'validation'"):
        data.arrays("validation", "ordinal")
    with pytest.raises(UnknownNameError, match="no encoding named 'one-hot'") as caught:
        data.arrays("train", "one-hot")
    assert "'onehot'" in str(caught.value.hint)
    with pytest.raises(UnknownNameError):
        data.plan("target")
    with pytest.raises(UnknownNameError):
        data.rows("all")


def test_nothing_prepared(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared data in"):
        PreparedData.load(tmp_path)
    with pytest.raises(DataError, match="no prepared data in"):
        PreparedData.load(tmp_path / "nowhere")


def test_another_format_and_a_damaged_record(data: PreparedData) -> None:
    record = data.root / RECORD_NAME
    record.write_text(json.dumps({**data.record, "format": 99}))
    with pytest.raises(DataError, match="format 99; expected 1"):
        PreparedData.load(data.root)
    record.write_text(record.read_text()[:100])
    with pytest.raises(DataError, match="damaged"):
        PreparedData.load(data.root)


def test_loading_reads_only_the_record(data: PreparedData) -> None:
    for path in data.root.glob("*.npy"):
        path.unlink()
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        PreparedData.load(data.root)
        best = min(best, time.perf_counter() - start)
    assert best < 0.1  # about 0.3 ms; the bound only says that nothing large is read
