from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.launcher_suite import ENTRIES, MIB, LauncherSuite, gone, until

from omniforge.launch import ForkLauncher, Workload


class TestForkLauncher(LauncherSuite):
    launcher_code = "ForkLauncher(grace_s=0.5)"

    @pytest.fixture
    def launcher(self) -> Iterator[ForkLauncher]:
        with ForkLauncher(["numpy"], grace_s=0.5) as launcher:
            yield launcher

    def test_modules_are_loaded_already(self, run: Callable[..., Any], launcher: ForkLauncher) -> None:
        assert run("print_modules", {"modules": ["numpy", "decimal"]})[1].split() == ["numpy"]
        assert launcher.ready().warnings == ()

    def test_no_two_forks_draw_the_same_numbers(self, run: Callable[..., Any], tmp_path: Path) -> None:
        draws = [run("numpy_numbers", log_path=tmp_path / f"{i}.txt")[1] for i in range(3)]
        assert len(set(draws)) == 3

    def test_the_supervisor_is_a_process_of_one_thread(self, launcher: ForkLauncher) -> None:
        launcher.ready()
        until(lambda: len(list(Path(f"/proc/{launcher.server_pid}/task").iterdir())) == 1)

    # A fork server below a fork server

    def test_a_server_below_is_a_fork_of_the_own_one(
        self, run: Callable[..., Any], launcher: ForkLauncher, tmp_path: Path
    ) -> None:
        payload = {"entry": f"{ENTRIES}:print_ancestors", "payload": {}, "log": str(tmp_path / "below")}
        ending, log = run("launch_below", {**payload, "preload": ["numpy", "decimal"]})
        assert ending.ok, log
        below = int(log.split()[1])
        assert list(map(int, (tmp_path / "below").read_text().split()))[1:3] == [below, launcher.server_pid]
        until(lambda: gone(below))

    def test_a_server_below_loads_what_is_missing(self, run: Callable[..., Any], tmp_path: Path) -> None:
        payload = {"entry": f"{ENTRIES}:print_modules", "payload": {"modules": ["numpy", "decimal", "wave"]}}
        run("launch_below", {**payload, "log": str(tmp_path / "below"), "preload": ["decimal"]})
        assert (tmp_path / "below").read_text().split() == ["numpy", "decimal"]

    def test_a_server_below_is_executed_when_the_own_one_does_not_answer(
        self, run: Callable[..., Any], tmp_path: Path
    ) -> None:
        payload = {
            "entry": f"{ENTRIES}:print_modules",
            "payload": {"modules": ["numpy"]},
            "log": str(tmp_path / "below"),
        }
        ending, log = run("launch_below", payload, env={"OMNIFORGE_FORKSERVER": str(tmp_path / "no-socket")})
        assert ending.ok, log
        assert (tmp_path / "below").read_text().split() == []

    def test_a_server_below_may_come_from_another_one(self, run: Callable[..., Any], tmp_path: Path) -> None:
        payload = {"entry": f"{ENTRIES}:print_modules", "payload": {"modules": ["numpy", "wave"]}}
        with ForkLauncher(["wave"]).ready() as other:
            env = {"OMNIFORGE_FORKSERVER": str(other.socket_path)}
            ending, log = run("launch_below", {**payload, "log": str(tmp_path / "below")}, env=env)
        assert ending.ok, log
        assert (tmp_path / "below").read_text().split() == ["wave"]

    @pytest.mark.fault
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_server_below_ends_with_its_owner(
        self, launch: Callable[..., Any], tmp_path: Path, number: signal.Signals
    ) -> None:
        payload = {
            "entry": f"{ENTRIES}:hang",
            "payload": {"pids": str(tmp_path / "pids")},
            "log": str(tmp_path / "below"),
        }
        handle = launch("launch_below", payload)
        until((tmp_path / "pids").exists)
        pids = [int(handle.logs().split()[1]), *map(int, (tmp_path / "pids").read_text().split())]
        os.kill(handle.pid, number)
        assert handle.wait(30).cause == "killed"
        until(lambda: all(gone(pid) for pid in pids))

    @pytest.mark.fault
    @pytest.mark.parametrize("how", ["close", "kill"])
    def test_a_server_below_ends_with_the_one_above(
        self, launcher: ForkLauncher, launch: Callable[..., Any], tmp_path: Path, how: str
    ) -> None:
        payload = {
            "entry": f"{ENTRIES}:hang",
            "payload": {"pids": str(tmp_path / "pids")},
            "log": str(tmp_path / "below"),
        }
        handle = launch("launch_below", payload)
        until((tmp_path / "pids").exists)
        pids = [handle.pid, int(handle.logs().split()[1]), *map(int, (tmp_path / "pids").read_text().split())]
        if how == "close":
            launcher.close()
        else:
            os.kill(launcher.server_pid or 0, signal.SIGKILL)
        until(lambda: all(gone(pid) for pid in pids))


def test_an_unanswered_server_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_FORKSERVER", str(tmp_path / "no-socket"))
    with ForkLauncher() as launcher:
        handle = launcher.launch(Workload("w", f"{ENTRIES}:succeed", log_path=tmp_path / "log"))
        ending = handle.wait(30)
        assert ending is not None
        assert ending.ok


def test_a_module_that_does_not_import_is_passed_over(tmp_path: Path) -> None:
    with ForkLauncher(["no_such_module", "decimal"], log_path=tmp_path / "server.log") as launcher:
        handle = launcher.launch(
            Workload("w", f"{ENTRIES}:print_modules", {"modules": ["decimal"]}, log_path=tmp_path / "log")
        )
        handle.wait(30)
        assert handle.logs().split() == ["decimal"]
        assert len(launcher.warnings) == 1
        assert "No module named 'no_such_module'" in launcher.warnings[0]
    assert launcher.warnings == ()
    assert "no_such_module" in (tmp_path / "server.log").read_text()


def test_a_module_that_starts_a_thread_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threaded_module.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkLauncher(["numpy", "threaded_module", "decimal"]) as launcher:
        [warning] = launcher.ready().warnings
    assert "'threaded_module'" in warning
    assert "thread" in warning


def test_onnxruntime_bears_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts a thread when it is imported, and no warning is given: so a session must work."""
    (tmp_path / "session_module.py").write_text(
        "import numpy as np, onnxruntime\n"
        "from onnx import TensorProto, helper\n"
        "def main(payload):\n"
        "    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in 'xy')\n"
        "    graph = helper.make_graph([helper.make_node('Neg', ['x'], ['y'])], 'g', [x], [y])\n"
        "    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)\n"
        "    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])\n"
        "    print(session.run(None, {'x': np.ones((1, 2), np.float32)})[0].tolist())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkLauncher(["onnxruntime", "session_module"]) as launcher:
        for i in range(3):
            handle = launcher.launch(Workload("w", "session_module:main", log_path=tmp_path / f"log{i}"))
            handle.wait(30)
            assert handle.logs().strip() == "[[-1.0, -1.0]]"
        assert launcher.warnings == ()


def test_what_a_preloaded_module_does_at_exit_is_not_done_by_a_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tidy_module.py").write_text(
        "import atexit, tempfile\n"
        "folder = tempfile.TemporaryDirectory()\n"
        "atexit.register(lambda: print('tidied by', __name__))\n"
        "def main(payload):\n"
        "    import os\n"
        "    assert os.path.isdir(folder.name)\n"
        "    main.own = tempfile.TemporaryDirectory()\n"
        "    print(main.own.name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkLauncher(["tidy_module"]) as launcher:
        for i in range(2):  # the second would not find the folder
            handle = launcher.launch(Workload("w", "tidy_module:main", log_path=tmp_path / f"log{i}"))
            ending = handle.wait(30)
            assert ending is not None
            assert ending.ok, handle.logs()
            [name] = handle.logs().split()
            assert not Path(name).exists()  # a folder of the fork's own is removed at its end


@pytest.mark.slow
@pytest.mark.parametrize(("server", "workload", "expected"), [("2", "1", "[1]"), ("1", "2", "[2]"), ("1", "1", "[1]")])
def test_threads_of_loaded_libraries_follow_the_environment(
    tmp_path: Path, server: str, workload: str, expected: str
) -> None:
    modules = ["numpy", "sklearn.ensemble", "torch", "threadpoolctl"]
    with ForkLauncher(modules, env={"OMP_NUM_THREADS": server}) as launcher:
        env = {"OMP_NUM_THREADS": workload}
        handle = launcher.launch(Workload("w", f"{ENTRIES}:print_thread_counts", env=env, log_path=tmp_path / "log"))
        handle.wait(60)
        assert handle.logs().strip() == expected


AS_NOBODY = [
    *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),  # the checkout may lie in root's home
]


def can_become_nobody() -> bool:
    try:
        return subprocess.run([*AS_NOBODY, "true"], capture_output=True, timeout=10).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_become_nobody(), reason="only root can become somebody else, with util-linux's setpriv")
def test_it_works_without_root(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import sys, tempfile
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from omniforge.launch import ForkLauncher, Limits, Workload
with ForkLauncher() as launcher, tempfile.TemporaryDirectory() as folder:
    for entry, payload in (("succeed", {{}}), ("allocate_slowly", {{"bytes": {330 * MIB}}})):
        limits = Limits(memory_bytes={300 * MIB})
        workload = Workload("w", "{ENTRIES}:" + entry, payload, limits=limits, log_path=Path(folder) / "log")
        print(launcher.launch(workload).wait())
"""
    )
    done = subprocess.run([*AS_NOBODY, sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "exit code 0"
    assert second.startswith("out_of_memory, It held ")
