"""What is written down for users: every command of the documentation is one, and those of the first pages run."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.data import profile_table, read_table
from omniforge.search import SearchSpace

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FEW = ["--trials", "3", "--strategy", "random", "--workers", "2", "--quiet"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Return the ``omniforge`` and ``python`` commands of a page, as words."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [one for one in words if one and one[0] in ("omniforge", "python")]


def parse(arguments: list[str]) -> None:
    """Read arguments as the command line does, and run nothing."""
    from typer.main import get_command

    from omniforge.cli.app import app

    name, command, context = "omniforge", get_command(app), None
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_is_written_down_is_one(page: Path) -> None:
    for program, *arguments in commands(page):
        if program == "omniforge":
            parse(arguments)


def test_a_command_that_is_none_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--colour"):
        parse(["jobs", "list", "--colour"])
    assert sum(len(commands(page)) for page in PAGES) >= 20


def test_the_spaces_that_are_written_down_are_spaces() -> None:
    (first, *_) = blocks(ROOT / "docs" / "space.md", "yaml")
    assert "learning_rate" in SearchSpace.from_yaml(first).parameters


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", "digits", "diabetes"])
def test_the_bundled_data_can_be_searched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bundled_data.py", name, str(tmp_path / "data" / "d.csv")])
    example = runpy.run_path(str(ROOT / "examples" / "bundled_data.py"), run_name="__main__")
    target = example["TARGETS"][name]
    profile = profile_table(read_table(tmp_path / "data" / "d.csv", target=target), target)
    assert profile.task == ("regression" if name == "diabetes" else "classification")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["d.csv"]


class Shell:
    """Runs the commands of a page as a user would, in a folder with the data that they name; searches are short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")}
        self._environment = {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, program: str, *arguments: str) -> str:
        start = (
            [sys.executable]
            if program == "python"
            else [sys.executable, "-c", "from omniforge.cli import main; main()"]
        )
        short = FEW if arguments[0] == "run" else []
        ended = subprocess.run(
            [*start, *arguments, *short], cwd=self.folder, env=self._environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{shlex.join(arguments)}\n{ended.stderr}"
        return ended.stdout

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("omniforge", "jobs", "list", "--json"))
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.slow
def test_the_commands_of_the_readme_run(shell: Shell) -> None:
    shell.run("python", "examples/bundled_data.py", "breast_cancer", "raw.csv")
    frame = pd.read_csv(shell.folder / "raw.csv").rename(columns={"diagnosis": "Churn"})
    frame.to_csv(shell.folder / "churn.csv", index=False)
    frame.drop(columns="Churn").head(30).to_csv(shell.folder / "new.csv", index=False)
    for command in commands(ROOT / "README.md"):
        if "kitchen-pi" not in " ".join(
            command
        ):  # a machine that is not here; tests/cli/test_device.py has one that is
            shell.run(*command)
    assert [(job["kind"], job["name"], job["state"]) for job in shell.jobs()] == [
        ("hpo", "churn", "succeeded"), ("nocode", "churn", "succeeded"),
    ]  # fmt: skip
    predicted = pd.read_csv(shell.folder / "predictions.csv")
    assert len(predicted) == 30
    assert set(predicted["prediction"]) <= set(frame["Churn"])


@pytest.mark.slow
def test_the_commands_of_the_page_on_estimators_run(shell: Shell) -> None:
    shell.run("python", "examples/bundled_data.py", "digits", "digits.csv")
    for command in commands(ROOT / "docs" / "hpo.md"):
        shell.run(*command)
    example, starter = shell.jobs()
    assert [job["state"] for job in (example, starter)] == ["succeeded", "succeeded"]
    for job in (example, starter):
        assert job["tasks"]["succeeded"] == 3
        assert job["best"]["rewards"]["accuracy"] > 0.8
    shown = json.loads(shell.run("omniforge", "jobs", "show", example["id"], "--json"))
    assert {name: counts["succeeded"] for name, counts in shown["phases"].items()} == {
        "smoke": 2, "default": 1, "search": 3,
    }  # fmt: skip
    assert "with the default configuration" in Path(shown["report"]).read_text()


@pytest.mark.slow
def test_the_example_that_brings_its_own_images_runs(shell: Shell) -> None:
    page = commands(ROOT / "docs" / "images.md")
    (search,) = [command for command in page if "examples/cnn_digits" in command]
    shell.run(*search)
    (job,) = shell.jobs()
    assert (job["name"], job["state"]) == ("cnn_digits", "succeeded")
    assert job["best"]["rewards"]["accuracy"] > 0.8
    assert job["best"]["rewards"]["latency_ms"] > 0
    (data,) = (shell.folder / ".omniforge" / "data").glob("*/cnn_digits.npz")
    shell.run("omniforge", "predict", "cnn_digits@champion", "--data", str(data), "-o", "predictions.csv")
    predicted = pd.read_csv(shell.folder / "predictions.csv")
    with np.load(data) as arrays:
        assert (predicted["prediction"] == arrays["y"]).mean() > 0.9
    shown = json.loads(shell.run("omniforge", "jobs", "show", job["id"], "--json"))
    assert "images of 1 x 8 x 8" in shown["reasons"][0]
    assert "Class" in Path(shown["report"]).read_text()
