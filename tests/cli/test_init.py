from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omniforge.estimators import load_bundle


def test_init_writes_a_bundle_that_loads(cli: Callable[..., Any], tmp_path: Path) -> None:
    written = json.loads(cli("init", tmp_path / "mine", "--json").out)
    assert written["files"] == ["estimator.py", "estimator.yaml"]
    assert load_bundle(tmp_path / "mine").estimator_class()


def test_init_overwrites_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "estimator.py").write_text("mine")
    assert cli("init", tmp_path / "mine").code == 2
    assert (tmp_path / "mine" / "estimator.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(cli: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    called = cli("init", tmp_path / "file" / "mine")
    assert called.code == 2
    assert "file/mine" in called.err
