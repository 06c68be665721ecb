from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import SpecError, UnknownNameError
from omniforge.launch import LAUNCHERS, Exit, ForkLauncher, Limits, ProcessLauncher, Workload


@pytest.mark.parametrize("entry", ["module", "module:", ":function", "a b:c", "module:f()", "a..b:c", "a:b:c", ""])
def test_an_entry_names_a_module_and_a_function(entry: str) -> None:
    with pytest.raises(SpecError, match="'module:function'"):
        Workload("w", entry, log_path=Path("log"))


@pytest.mark.parametrize(
    ("name", "value"), [("memory_bytes", 0), ("memory_bytes", -1), ("time_s", 0.0), ("time_s", float("nan"))]
)
def test_a_limit_is_positive(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=f"{name} = .* must be above 0"):
        Limits(**{name: value})


def test_only_success_is_ok() -> None:
    assert Exit(0, None, None, 1.0).ok
    assert not Exit(0, None, "cancelled", 1.0).ok
    assert not Exit(1, None, "exception", 1.0).ok
    assert not Exit(None, 9, "killed", 1.0).ok


def test_an_exit_reads_as_a_sentence() -> None:
    assert str(Exit(0, None, None, 1.0)) == "exit code 0"
    assert str(Exit(None, 9, "killed", 1.0)) == "killed, signal 9"
    assert str(Exit(1, None, "exception", 1.0, message="ValueError: x")) == "exception, ValueError: x, exit code 1"


def test_launchers_have_names() -> None:
    assert LAUNCHERS.get("fork") is ForkLauncher
    assert LAUNCHERS.get("process") is ProcessLauncher
    with pytest.raises(UnknownNameError, match="launcher"):
        LAUNCHERS.get("forks")
