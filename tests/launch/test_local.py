from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from conformance.launcher_suite import ENTRIES

from omniforge.errors import LaunchError
from omniforge.launch import Workload
from omniforge.launch.local import LocalLauncher
from omniforge.launch.owner import ServerOptions


def test_many_threads_may_launch(tmp_path: Path) -> None:
    with LocalLauncher(ServerOptions()) as launcher:
        codes: list[int | None] = []

        def launch(i: int) -> None:
            ending = launcher.launch(Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / f"{i}.txt")).wait(30)
            codes.append(ending.code if ending is not None else None)

        threads = [threading.Thread(target=launch, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert codes == [0] * 6


def test_a_thread_that_made_it_may_end(tmp_path: Path) -> None:
    made: list[LocalLauncher] = []
    thread = threading.Thread(target=lambda: made.append(LocalLauncher(ServerOptions()).ready()))
    thread.start()
    thread.join()
    with made[0] as launcher:
        ending = launcher.launch(Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / "log")).wait(30)
        assert ending is not None
        assert ending.ok


@pytest.mark.fault
def test_a_server_that_died_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LocalLauncher(ServerOptions()).ready() as launcher:
        first = launcher.server_pid
        os.kill(first or 0, signal.SIGKILL)
        workload = Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / "log")
        for _ in range(20):
            ending = launcher.launch(workload).wait(30)
            assert ending is not None
            if ending.ok:
                break
            assert ending.cause == "killed"  # launched by the old server in its last moment
        assert launcher.server_pid != first
    assert "is started again" in caplog.text


def test_a_server_that_cannot_load_fails_every_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly_module.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with LocalLauncher(ServerOptions(("deadly_module",))) as launcher:
        for _ in range(2):
            with pytest.raises(LaunchError, match="did not start"):
                launcher.launch(Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / "log"))


def test_a_handle_that_is_dropped_goes_on(tmp_path: Path) -> None:
    with LocalLauncher(ServerOptions()) as launcher:
        payload = {"pids": str(tmp_path / "pids"), "for_s": 0.3}
        launcher.launch(Workload("w", f"{ENTRIES}:hang", payload, log_path=tmp_path / "log"))
        [handle] = launcher._handles
        ending = handle.wait(30)
        assert ending is not None
        assert ending.ok
