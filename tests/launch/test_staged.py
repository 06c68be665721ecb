from __future__ import annotations

import logging
from pathlib import Path

import pytest
from conformance.launcher_suite import ENTRIES, gone, until

from omniforge.errors import LaunchError
from omniforge.launch import ForkLauncher, StagedLauncher, Workload


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; the module ``gated_module`` is loaded once it exists."""
    path = tmp_path / "gate"
    (tmp_path / "gated_module.py").write_text(
        f"import pathlib, time\nwhile not pathlib.Path({str(path)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def modules_of(launcher: StagedLauncher, log_path: Path) -> list[str]:
    payload = {"modules": ["wave", "gated_module"]}
    handle = launcher.launch(Workload("w", f"{ENTRIES}:print_modules", payload, log_path=log_path))
    ending = handle.wait(30)
    assert ending is not None
    assert ending.ok, handle.logs()
    return handle.logs().split()


def test_it_goes_over_to_the_second_when_that_is_ready(gate: Path, tmp_path: Path) -> None:
    with StagedLauncher(ForkLauncher(["wave"]), ForkLauncher(["gated_module"])) as launcher:
        assert modules_of(launcher, tmp_path / "log") == ["wave"]
        gate.touch()
        until(lambda: modules_of(launcher, tmp_path / "log") == ["gated_module"])


def test_a_server_below_comes_from_the_second_in_either_case(gate: Path, tmp_path: Path) -> None:
    payload = {"entry": f"{ENTRIES}:print_modules", "payload": {"modules": ["wave", "gated_module"]}}
    with StagedLauncher(ForkLauncher(["wave"]), ForkLauncher(["gated_module"])) as launcher:
        payload["log"] = str(tmp_path / "below")
        handle = launcher.launch(Workload("w", f"{ENTRIES}:launch_below", payload, log_path=tmp_path / "log"))
        gate.touch()  # the request waits until the modules are loaded
        ending = handle.wait(30)
        assert ending is not None
        assert ending.ok, handle.logs()
    assert (tmp_path / "below").read_text().split() == ["gated_module"]


def test_a_second_that_fails_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deadly_module.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with StagedLauncher(ForkLauncher(["wave"]), ForkLauncher(["deadly_module"])) as launcher:
        until(lambda: "second launch server is not used" in caplog.text)
        assert modules_of(launcher, tmp_path / "log") == ["wave"]


def test_closing_closes_both_quietly(gate: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, then = ForkLauncher(["wave"]).ready(), ForkLauncher(["gated_module"])
    launcher = StagedLauncher(first, then)
    pid = first.server_pid or 0
    launcher.close()  # the second still loads
    launcher.close()
    assert gone(pid)
    for one in (first, then, launcher):
        with pytest.raises(LaunchError, match="closed"):
            one.launch(Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / "log"))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
