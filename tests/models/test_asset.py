from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpecError, StoreError
from omniforge.models import read_asset
from omniforge.models.asset import replace_folder, update_asset

FILES = ["MLmodel", "model.json", "model.onnx", "predict.py", "python_env.yaml", "requirements.txt"]


def test_it_is_one_folder_with_everything(asset: Path) -> None:
    assert sorted(path.name for path in asset.iterdir()) == FILES
    about = read_asset(asset)
    assert (about["task"], about["target"], about["classes"]) == ("classification", "target", ["no", "yes", "perhaps"])
    assert about["metrics"] == {"accuracy": 0.9}
    assert about["lineage"]["job_id"] == "job-1"
    assert [column["name"] for column in about["signature"]["inputs"]] == ["age", "size", "level"]
    assert set(about["files"]) == set(FILES) - {"model.json"}
    assert about["example"][0].keys() == {"age", "size", "level"}


def test_numpy_numbers_become_json(make_asset: Callable[..., Path]) -> None:
    asset = make_asset(metrics={"accuracy": np.float32(0.5)})
    assert json.loads((asset / "model.json").read_text())["metrics"] == {"accuracy": 0.5}


def test_writing_again_replaces(make_asset: Callable[..., Path]) -> None:
    make_asset(metrics={"accuracy": 0.1})
    asset = make_asset(metrics={"accuracy": 0.2})
    assert read_asset(asset)["metrics"] == {"accuracy": 0.2}
    assert sorted(path.name for path in asset.parent.iterdir()) == ["asset", "exported.onnx"]


@pytest.mark.parametrize("name", ["model.onnx", "predict.py"])
def test_a_changed_file_is_noticed(asset: Path, name: str) -> None:
    with (asset / name).open("ab") as file:
        file.write(b"#")
    with pytest.raises(StoreError, match=name):
        read_asset(asset)
    assert read_asset(asset, verify=False)["format"] == 1


def test_a_missing_file_is_noticed(asset: Path) -> None:
    (asset / "model.onnx").unlink()
    with pytest.raises(StoreError, match=r"model\.onnx"):
        read_asset(asset)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 99}'])
def test_what_is_no_asset_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(StoreError, match="asset"):
        read_asset(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "ranking"}, "'ranking'"),
        ({"classes": None}, "classes = None"),
        ({"task": "regression"}, "regression"),
        ({"classes": ["a", ("b",)]}, "tuple"),
        ({"onnx_path": "none.onnx"}, r"none\.onnx"),
        ({"transform_source": "x = 1"}, "transform"),
    ],
)
def test_wrong_arguments_leave_nothing(
    make_asset: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_asset(**changes)
    assert not (tmp_path / "asset").exists()


def test_the_description_can_be_updated(asset: Path) -> None:
    update_asset(asset, {"family": "churn"})
    assert read_asset(asset)["family"] == "churn"


def test_a_folder_takes_another_s_place(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new"]


def test_what_was_there_stays_if_moving_fails(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept").write_text("kept")
    with pytest.raises(OSError, match="none"):
        replace_folder(tmp_path / "none", tmp_path / "old")
    assert (tmp_path / "old" / "kept").read_text() == "kept"


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let writes beyond ``size`` bytes fail, as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.fault
def test_a_full_disk_leaves_the_earlier_asset(make_asset: Callable[..., Path]) -> None:
    asset = make_asset(metrics={"accuracy": 0.1})
    with files_limited_to(3000), pytest.raises(StoreError, match="asset"):
        make_asset(metrics={"accuracy": 0.2})  # predict.py is longer
    assert read_asset(asset)["metrics"] == {"accuracy": 0.1}
    assert sorted(path.name for path in asset.parent.iterdir()) == ["asset", "exported.onnx"]


def test_an_asset_of_images_says_the_shape_of_a_row(image_asset: Path, pixels: np.ndarray) -> None:
    assert sorted(path.name for path in image_asset.iterdir()) == FILES
    about = read_asset(image_asset)
    (given,) = about["signature"]["inputs"]
    assert given["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 4, 5, 3]}
    assert [column["name"] for column in about["signature"]["outputs"]] == ["prediction", "proba_night", "proba_day"]
    assert about["plan"]["kind"] == "image"
    np.testing.assert_array_equal(np.array(about["example"], dtype=np.uint8), pixels[:1])
