"""The command line as a user calls it, in this process: arguments in, exit code and output out; and one job that has run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VARIABLES = ("STORE_URL", "REGISTRY_URL", "IMAGE", "LEASE_S")
SPACE = """\
algorithm:
  type: choice
  range: {linear, knn}
  submodule:
    linear:
      regularization: {type: float, range: [0.01, 100.0], log: true}
    knn:
      n_neighbors: {type: int, range: [1, 20]}
"""


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Ran:
    """A job that ``omniforge run nocode ... --json`` has run in a process of its own."""

    home: Path
    data: Path
    called: Called

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.called.out)  # type: ignore[no-any-return]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return at_home(tmp_path / "home", monkeypatch)


def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(f"OMNIFORGE_{name}", raising=False)
    monkeypatch.setenv("OMNIFORGE_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    return folder


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    def call(*arguments: object) -> Called:
        from omniforge.cli import main

        monkeypatch.setattr(sys, "argv", ["omniforge", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as e:
            code = int(e.code or 0)
        printed = capsys.readouterr()
        return Called(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A small NoCode job of three classes and two objectives, done; about 15 seconds."""
    from sklearn.datasets import load_iris

    folder = tmp_path_factory.mktemp("job")
    iris = load_iris(as_frame=True)
    frame = iris.data.assign(species=iris.target_names[iris.target])
    frame.to_csv(folder / "iris.csv", index=False)
    (folder / "space.yaml").write_text(SPACE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")}
    code = "from omniforge.cli import main; main()"
    arguments = [
        "run", "nocode", "--data", "iris.csv", "--target", "species", "--space", "space.yaml", "--name", "flowers",
        "--objective", "log_loss", "--objective", "latency_ms<=1000", "--trials", "5", "--workers", "2",
        "--strategy", "random", "--json",
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**kept, "OMNIFORGE_HOME": "home", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    return Ran(folder / "home", folder / "iris.csv", Called(ended.returncode, ended.stdout, ended.stderr))


@pytest.fixture
def cli_of_job(job: Ran, cli: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    """The command line in the home of the job that has run."""
    at_home(job.home, monkeypatch)
    return cli
