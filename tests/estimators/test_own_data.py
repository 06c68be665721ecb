from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from omniforge.data import read_table, read_tensors
from omniforge.errors import BundleError, SpecError
from omniforge.estimators import Bundle, load_bundle
from omniforge.estimators.own_data import write_own_data

from .conftest import MANIFEST

BundleWriter = Callable[..., Path]

ARRAYS = """
import numpy as np
def load():
    return {"x": np.arange(4000, dtype=np.uint8).reshape(40, 10, 10), "y": [0, 1] * 20}
"""
FRAME = """
import pandas as pd
def load():
    return pd.DataFrame({"a": [1.5, 2.5], "kind": ["u", "v"]})
"""


@pytest.fixture
def bundle(write_bundle: BundleWriter) -> Callable[..., Bundle]:
    def make(code: str, *, load: str = "dataset:load", name: str = "bundle") -> Bundle:
        manifest = f"{MANIFEST}data: {{load: '{load}'}}\n"
        return load_bundle(write_bundle("class Sample: ...", manifest=manifest, name=name, dataset=code))

    return make


def test_arrays_become_a_file_of_tensors(bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    path = write_own_data(bundle(ARRAYS), tmp_path / "data")
    assert path.name == "sample.npz"
    assert path.parent.parent == tmp_path / "data"
    table = read_tensors(path)
    assert (table.x.shape, table.x.dtype) == ((40, 10, 10), np.uint8)
    np.testing.assert_array_equal(table.y, [0, 1] * 20)


def test_a_data_frame_becomes_a_table(bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    path = write_own_data(bundle(FRAME), tmp_path / "data")
    assert path.name == "sample.parquet"
    pd.testing.assert_frame_equal(read_table(path)[["a"]], pd.DataFrame({"a": [1.5, 2.5]}), check_names=False)


@pytest.mark.parametrize("code", [ARRAYS, FRAME])
def test_the_same_data_is_written_once(bundle: Callable[..., Bundle], tmp_path: Path, code: str) -> None:
    first = write_own_data(bundle(code, name="one"), tmp_path / "data")
    before = first.stat().st_mtime_ns
    assert write_own_data(bundle(code, name="two"), tmp_path / "data") == first
    assert first.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == [first.parent.name]
    other = write_own_data(
        bundle(code.replace("10, 10", "20, 5").replace("2.5", "9.5"), name="three"), tmp_path / "data"
    )
    assert other != first


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def load(): return [1, 2]", "returned list; expected a pandas DataFrame, or arrays by name"),
        ("def load(): return {}", "returned dict; expected"),
        ("def load(): return {'x': [object()]}", "'x' as an array of Python objects"),
        ("def load(): raise OSError('no network')", "dataset:load raised OSError: no network"),
        ("def lode(): ...", "'load' in module 'dataset' does not exist"),
        ("import no_such_module", "no_such_module"),
    ],
)
def test_what_cannot_be_loaded_is_told(bundle: Callable[..., Bundle], tmp_path: Path, code: str, says: str) -> None:
    with pytest.raises(BundleError) as caught:
        write_own_data(bundle(code), tmp_path / "data")
    assert says in str(caught.value)
    assert list(tmp_path.glob("data/*")) == []


def test_errors_of_omniforge_stay_what_they_are(bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    code = "from omniforge.errors import SpecError\ndef load(): raise SpecError('not today')"
    with pytest.raises(SpecError, match="not today"):
        write_own_data(bundle(code), tmp_path / "data")


def test_a_bundle_without_data_says_how_to_bring_some(write_bundle: BundleWriter, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="brings no data of its own"):
        write_own_data(load_bundle(write_bundle("class Sample: ...")), tmp_path / "data")
