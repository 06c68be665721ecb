from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.search import SearchSpace

SPACE = """\
optimizer: {type: choice, range: {sgd, adam}}
blocks:
  type: int
  range: [1...3]
  submodule:
    width: {type: int, range: [8, 64], log: true}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


def test_validate(cli: Callable[..., Any], path: Path) -> None:
    assert "valid" in cli("space", "validate", path).out
    facts = json.loads(cli("space", "validate", path, "--json").out)
    assert facts["valid"] is True
    assert facts["hash"] == SearchSpace.from_yaml(path).hash


def test_show_is_a_tree(cli: Callable[..., Any], path: Path) -> None:
    shown = cli("space", "show", path).out
    assert "blocks" in shown
    assert shown.count("width") == 1
    assert json.loads(cli("space", "show", path, "--json").out)["space"] == SearchSpace.from_yaml(path).to_dict()


def test_show_reads_a_bundle(cli: Callable[..., Any], tmp_path: Path) -> None:
    cli("init", tmp_path / "mine")
    assert "learning_rate" in cli("space", "show", tmp_path / "mine").out


def test_sample_is_valid_and_repeatable(cli: Callable[..., Any], path: Path) -> None:
    configs = json.loads(cli("space", "sample", path, "-n", "20", "--seed", "3", "--json").out)
    space = SearchSpace.from_yaml(path)
    assert len(configs) == 20
    assert all(space.is_valid(config) for config in configs)
    assert json.loads(cli("space", "sample", path, "-n", "20", "--seed", "3", "--json").out) == configs


def test_diff(cli: Callable[..., Any], path: Path, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(SPACE.replace("[8, 64]", "[8, 128]"))
    assert "128" in cli("space", "diff", path, tmp_path / "new.yaml").out
    assert json.loads(cli("space", "diff", path, path, "--json").out) == {"changed": False, "changes": []}


def test_a_file_that_is_not_there(cli: Callable[..., Any], tmp_path: Path) -> None:
    called = cli("space", "show", tmp_path / "none.yaml")
    assert called.code == 2
    assert "none.yaml" in called.err
