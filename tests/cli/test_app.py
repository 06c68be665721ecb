from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from omniforge import __version__


def test_help_names_every_command(cli: Callable[..., Any]) -> None:
    called = cli("--help")
    assert called.code == 0
    for command in ("run", "compile", "jobs", "space", "predict", "init", "doctor"):
        assert command in called.out


def test_version(cli: Callable[..., Any]) -> None:
    assert cli("--version").out.strip() == f"omniforge {__version__}"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "nocode"), ("run", "hpo"), ("compile", "nocode"), ("jobs", "list"), ("jobs", "show"), ("jobs", "watch"),
        ("jobs", "resume"), ("jobs", "cancel"), ("space", "validate"), ("space", "show"), ("space", "sample"),
        ("space", "diff"), ("predict",), ("init",), ("doctor",),
    ],
)  # fmt: skip
def test_every_command_has_help_and_json(command: tuple[str, ...], cli: Callable[..., Any]) -> None:
    called = cli(*command, "--help")
    assert called.code == 0
    assert "--json" in called.out


def test_an_unknown_option_is_bad_input(cli: Callable[..., Any]) -> None:
    assert cli("jobs", "list", "--colour").code == 2


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    """The bound is ten times what it takes, so that a busy machine does not fail it; the benchmark has the figure."""
    code = (
        "import sys; sys.argv = ['omniforge', '--help']\n"
        "from omniforge.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'mlflow', 'kfp', 'pandas', 'numpy', 'sklearn', 'sqlalchemy') if m in sys.modules])"
    )
    begun = time.monotonic()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.rstrip().endswith("[]")
    assert time.monotonic() - begun < 5
