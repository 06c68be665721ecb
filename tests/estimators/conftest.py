"""Small prepared data sets from scikit-learn's own, and bundles written on the spot."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.data import prepare

Rows = 240

BundleWriter = Callable[..., Path]

MANIFEST = """\
name: sample
version: 1.2.3
tasks: [classification]
entry_point: estimator:Sample
space:
  rate: {type: float, range: [0.001, 1.0], log: true, default: 0.1}
  kind: {type: choice, range: {plain, fancy}, default: plain}
metrics: {score: max}
"""


def _prepared(folder: Path, loader: Any, *, target: str) -> Path:
    frame = loader(as_frame=True).frame.sample(Rows, random_state=0, ignore_index=True)
    if target != "target":
        frame[target] = frame.pop("target").map(lambda value: f"kind_{value}")
    frame.to_csv(folder / "table.csv", index=False)
    prepare(folder / "table.csv", target, folder / "prepared")
    return folder / "prepared"


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The breast cancer data, 240 rows, two classes."""
    from sklearn.datasets import load_breast_cancer

    return _prepared(tmp_path_factory.mktemp("two_classes"), load_breast_cancer, target="diagnosis")


@pytest.fixture(scope="session")
def many_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits data, 240 rows, ten classes."""
    from sklearn.datasets import load_digits

    return _prepared(tmp_path_factory.mktemp("many_classes"), load_digits, target="digit")


@pytest.fixture(scope="session")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The diabetes data, 240 rows, a regression."""
    from sklearn.datasets import load_diabetes

    return _prepared(tmp_path_factory.mktemp("values"), load_diabetes, target="target")


@pytest.fixture
def write_bundle(tmp_path: Path) -> BundleWriter:
    """Write a bundle: its manifest, changed by ``manifest`` line replacements, and its code."""

    def write(code: str, *, manifest: str = MANIFEST, name: str = "bundle", **files: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "estimator.yaml").write_text(manifest)
        (folder / "estimator.py").write_text(textwrap.dedent(code))
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(textwrap.dedent(text))
        return folder

    return write
