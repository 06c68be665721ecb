"""What is given wrongly: a clear message, exit code 2, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Cli = Callable[..., Any]


def table(rows: int = 120, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows), "y": np.arange(rows) % 2})
    for name, values in columns.items():
        frame[name] = values
    return frame


def assert_refused(cli: Cli, home: Path, *arguments: object, says: tuple[str, ...], command: str = "nocode") -> None:
    called = cli("run", command, *arguments)
    message = " ".join(called.err.split())
    assert called.code == 2, called.err
    assert "Traceback" not in called.err
    for part in says:
        assert part in message, message
    assert not {"jobs", "data", "models"} & {path.name for path in home.glob("*")}
    if "OMNIFORGE_STORE_URL" not in os.environ:
        assert cli("jobs", "list", "--json").out.strip() == "[]"


def written(path: Path, case: str) -> Path:
    """Write the data file of a case."""
    changes = {
        "constant target": {"y": "same"},
        "a class with one row": {"y": ["common"] * 119 + ["rare"]},
        "all-missing column": {"gone": np.nan},
        "infinities": {"huge": np.where(np.arange(120) == 7, np.inf, 1.0) * np.arange(1, 121)},
        "mixed types": {"odd": [f"{i}.5" if i % 3 else f"word{i}" for i in range(120)]},
        "no such target": {"outcome": 1},
    }
    texts = {"empty file": "", "only a header": "x,z,y\n", "duplicate column names": "x,x,y\n" + "1,2,0\n3,4,1\n" * 20}
    if case in texts:
        path.write_text(texts[case])
    elif case == "200,000 categories":
        i = np.arange(200_000)
        pd.DataFrame({"id": [f"c{k}" for k in i], "x": i % 97, "y": i % 2}).to_csv(path, index=False)
    elif case != "missing file":
        table(**changes.get(case, {})).to_csv(path, index=False, sep=";" if case == "wrong delimiter" else ",")
    return path


DATA = {
    "missing file": ((), ("data.csv",)),
    "empty file": ((), ("data.csv", "empty")),
    "only a header": ((), ("data.csv", "no rows")),
    "wrong delimiter": (("--delimiter", ","), ("';'",)),
    "no such target": (("--target", "outcom"), ("outcom", "'outcome'")),
    "constant target": ((), ("'y'", "same")),
    "a class with one row": ((), ("rare", "one row")),
    "all-missing column": ((), ("gone", "--drop gone")),
    "infinities": ((), ("huge", "infinit")),
    "duplicate column names": ((), ("'x'",)),
    "200,000 categories": ((), ("id", "200,000", "--drop id")),
    "mixed types": ((), ("odd", "--categorical odd")),
}


@pytest.mark.parametrize("case", DATA)
def test_data(case: str, cli: Cli, home: Path, tmp_path: Path) -> None:
    options, says = DATA[case]
    assert_refused(cli, home, "--target", "y", "--data", written(tmp_path / "data.csv", case), *options, says=says)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    table().to_csv(tmp_path / "good.csv", index=False)
    return tmp_path / "good.csv"


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ("width: {type: int, range: [9, 3]}", ("line 1", "width", "9")),
        ("a: {type: int, range: [1, 3]}\nwidth: {type: integre, range: [1, 3]}", ("line 2", "width", "integre")),
        (
            "a: {type: int, range: [1, 3], when: {b: 1}}\nb: {type: int, range: [1, 3], when: {a: 1}}",
            ("cycle", "a", "b"),
        ),
    ],
)
def test_a_space_that_is_wrong(
    space: str, says: tuple[str, ...], cli: Cli, home: Path, good: Path, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text(space)
    options = ("--data", good, "--target", "y", "--space", tmp_path / "space.yaml")
    assert_refused(cli, home, *options, says=says)
    validated = cli("space", "validate", tmp_path / "space.yaml")
    assert validated.code == 2
    assert says[0] in validated.err


def test_a_space_of_something_else(cli: Cli, home: Path, good: Path, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("algoritm: {type: choice, range: {knn, linear}}")
    options = ("--data", good, "--target", "y", "--space", tmp_path / "space.yaml")
    assert_refused(cli, home, *options, says=("algoritm", "tabular", "'algorithm'"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--objective", "rmse"), ("rmse", "classification", "accuracy")),
        (("--drop", "nothere"), ("nothere", "x, z, y")),
        (("--drop", "y"), ("'y'", "target")),
        (("--trials", "0"), ("--trials",)),
        (("--objective", "acuracy"), ("metric", "acuracy", "accuracy")),
        (("--objective", "accuracy", "--objective", "latency_ms@kitchen"), ("device", "kitchen", "local")),
        (("--objective", "accuracy@local"), ("accuracy", "device")),
        (("--objective", "latency_ms"), ("latency_ms", "score")),
        (("--objective", "accuracy", "--objective", "accuracy"), ("accuracy", "2 times")),
        (("--objective", "accuracy:up"), ("accuracy:up",)),
        (("--strategy", "bayes"), ("strategy", "bayes")),
        (("--strategy", "none.yaml"), ("strategy", "none.yaml")),
        (("--strategy", "{bo: {acquisition: [}"), ("strategy", "not YAML")),
        (("--strategy", "{bo: {acquisition: logie}}"), ("acquisition", "logie")),
        (("--time-budget", "soon"), ("soon", "10m")),
        (("--task", "clustering"), ("clustering",)),
        (("--name", "a/b"), ("a/b",)),
        (("--wait", "forever"), ("forever",)),
    ],
)
def test_options(options: tuple[str, ...], says: tuple[str, ...], cli: Cli, home: Path, good: Path) -> None:
    assert_refused(cli, home, "--data", good, "--target", "y", *options, says=says)


def test_a_store_that_does_not_answer(cli: Cli, home: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_STORE_URL", "postgresql://someone:secret@127.0.0.1:9/none")
    called = cli("run", "nocode", "--data", good, "--target", "y")
    assert called.code == 2
    assert "127.0.0.1" in called.err
    assert "secret" not in called.err
    assert not home.exists() or list(home.iterdir()) == []


def test_a_store_url_of_an_unknown_kind(cli: Cli, home: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_STORE_URL", "mongodb://localhost/x")
    assert_refused(cli, home, "--data", good, "--target", "y", says=("mongodb", "postgresql"))


def bundle(folder: Path, source: str) -> Path:
    folder.mkdir()
    (folder / "estimator.py").write_text(source)
    (folder / "estimator.yaml").write_text(
        "name: mine\nversion: 1.0.0\ntasks: [classification]\nentry_point: estimator:Mine\n"
        "metrics: {accuracy: max}\nspace: {width: {type: int, range: [1, 3]}}\n"
    )
    return folder


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nowhere_to_be_found", ("estimator", "nowhere_to_be_found")),
        ("def broken(:", ("estimator", "invalid syntax")),
        ("class Other: ...", ("Mine",)),
    ],
)
def test_a_bundle_whose_module_does_not_import(
    source: str, says: tuple[str, ...], cli: Cli, home: Path, good: Path, tmp_path: Path
) -> None:
    options = ("--estimator", bundle(tmp_path / "mine", source), "--data", good, "--target", "y")
    assert_refused(cli, home, *options, says=says, command="hpo")


def test_a_bundle_that_is_not_there(cli: Cli, home: Path, good: Path, tmp_path: Path) -> None:
    options = ("--estimator", tmp_path / "none", "--data", good, "--target", "y")
    assert_refused(cli, home, *options, says=("none",), command="hpo")


@pytest.mark.parametrize("command", [("show",), ("watch",), ("resume",), ("cancel",)])
def test_a_job_that_is_not_there(command: tuple[str, ...], cli: Cli) -> None:
    called = cli("jobs", *command, "nothere")
    assert called.code == 2
    assert "nothere" in called.err


def test_a_model_that_is_not_there(cli: Cli, good: Path, tmp_path: Path) -> None:
    called = cli("predict", "nothere@champion", "--data", good, "-o", tmp_path / "out.csv")
    assert called.code == 2
    assert "nothere" in called.err
    assert not (tmp_path / "out.csv").exists()
