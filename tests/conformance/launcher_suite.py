"""What every launcher must do, whatever it starts: subclass it and give it the fixture ``launcher``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.errors import LaunchError, SpecError
from omniforge.launch import Exit, Handle, Launcher, Limits, Workload

ENTRIES = "conformance.launcher_entries"
LONG_S = 30.0
MIB = 2**20


def until(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Return what the condition gives once that is true."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "the condition did not come true"
        time.sleep(0.01)
    return value


def gone(pid: int) -> bool:
    """Whether a process has ended; where nobody reaps orphans, a zombie has too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


class LauncherSuite:
    launcher_code: str
    """An expression that makes such a launcher, for a process of its own."""

    @pytest.fixture
    def launch(self, launcher: Launcher, tmp_path: Path) -> Callable[..., Handle]:
        def launch(entry: str, payload: dict[str, Any] | None = None, **rest: Any) -> Handle:
            log_path = rest.pop("log_path", tmp_path / "logs" / f"{entry}.txt")
            entry = entry if ":" in entry else f"{ENTRIES}:{entry}"
            return launcher.launch(Workload("test", entry, payload or {}, log_path=log_path, **rest))

        return launch

    @pytest.fixture
    def run(self, launch: Callable[..., Handle]) -> Callable[..., tuple[Exit, str]]:
        def run(entry: str, payload: dict[str, Any] | None = None, **rest: Any) -> tuple[Exit, str]:
            handle = launch(entry, payload, **rest)
            ending = handle.wait(LONG_S)
            assert ending is not None
            return ending, handle.logs()

        return run

    @pytest.fixture
    def hanging(self, launch: Callable[..., Handle], tmp_path: Path) -> Callable[..., tuple[Handle, list[int]]]:
        """Launch what hangs with two descendants; return its handle and all three process ids."""

        def hanging(**rest: Any) -> tuple[Handle, list[int]]:
            path = tmp_path / "pids"
            handle = launch("hang", {"pids": str(path), **rest.pop("payload", {})}, **rest)
            until(path.exists)
            return handle, [int(pid) for pid in path.read_text().split()]

        return hanging

    # Success

    def test_success(self, run: Callable[..., Any]) -> None:
        ending, log = run("succeed", {"text": "well"})
        assert ending.ok
        assert (ending.code, ending.signal, ending.cause, ending.message) == (0, None, None, None)
        assert 0 < ending.duration_s < LONG_S
        assert ending.peak_memory_bytes > MIB
        assert "out: well" in log
        assert "err: fine" in log

    def test_wait_and_poll(self, launch: Callable[..., Handle], tmp_path: Path) -> None:
        handle = launch("hang", {"pids": str(tmp_path / "pids"), "for_s": 0.4})
        assert handle.poll() is None
        assert handle.wait(0.01) is None
        ending = handle.wait()
        assert ending is not None
        assert ending.ok
        assert handle.wait() == handle.poll() == ending

    def test_surroundings(self, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FROM_OWNER", "owner")
        monkeypatch.setenv("OVERRIDDEN", "owner")
        out = tmp_path / "seen.json"
        env = {"OVERRIDDEN": "workload", "ODD": "a=b\nü"}
        ending, log = run("echo", {"payload": {"x": [1, None, "ü"]}, "out": str(out)}, env=env, cwd=tmp_path)
        assert ending.ok, log
        seen = json.loads(out.read_text())
        assert seen["payload"] == {"x": [1, None, "ü"]}
        assert seen["cwd"] == str(tmp_path)
        assert {"FROM_OWNER": "owner", **env}.items() <= seen["env"].items()
        assert seen["pid"] == seen["group"] == seen["session"]
        assert seen["argv"] == [f"{ENTRIES}:echo"]
        assert seen["sigterm"] is True
        assert seen["blocked"] == []
        assert seen["stdin"] == ""

    def test_nothing_of_the_server_or_of_a_sibling_is_open(
        self, run: Callable[..., Any], launch: Callable[..., Handle], hanging: Callable[..., Any], tmp_path: Path
    ) -> None:
        handle, _ = hanging()
        out = tmp_path / "seen.json"
        run("echo", {"payload": None, "out": str(out)})
        sockets = [name for name in json.loads(out.read_text())["fds"] if name.startswith("socket:")]
        assert sockets == []
        handle.cancel()

    def test_the_working_directory_is_the_owners(self, run: Callable[..., Any], tmp_path: Path) -> None:
        out = tmp_path / "seen.json"
        run("echo", {"payload": None, "out": str(out)})
        assert json.loads(out.read_text())["cwd"] == str(Path.cwd())

    def test_large_payload(self, run: Callable[..., Any], tmp_path: Path) -> None:
        out = tmp_path / "seen.json"
        text = "0123456789" * 300_000  # 3 MB, far above what a pipe, a socket or an argument holds
        ending, log = run("echo", {"payload": text, "out": str(out)})
        assert ending.ok, log
        assert json.loads(out.read_text())["payload"] == text

    def test_module_path_of_the_owner_and_of_the_workload(
        self, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("owner", "workload"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / f"late_{folder}.py").write_text(f"def main(payload): print('from {folder}')\n")
        (tmp_path / "workload" / "late_owner.py").write_text("def main(payload): print('shadowed')\n")
        monkeypatch.syspath_prepend(str(tmp_path / "owner"))
        assert run("late_owner:main")[1].strip() == "from owner"
        env = {"PYTHONPATH": str(tmp_path / "workload")}
        assert run("late_workload:main", env=env)[1].strip() == "from workload"
        assert run("late_owner:main", env=env, log_path=tmp_path / "third.txt")[1].strip() == "shadowed"

    def test_eight_at_once(self, launch: Callable[..., Handle], tmp_path: Path) -> None:
        handles = [
            launch("hang", {"pids": str(tmp_path / f"pids{i}"), "for_s": 0.5}, log_path=tmp_path / f"{i}.txt")
            for i in range(8)
        ]
        assert len({handle.pid for handle in handles}) == 8
        until(lambda: all((tmp_path / f"pids{i}").exists() for i in range(8)))
        assert all(handle.wait(LONG_S).ok for handle in handles)

    def test_many_in_a_row_leave_nothing_open(self, run: Callable[..., Any]) -> None:
        run("succeed")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(10):
            assert run("succeed")[0].ok
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1  # the last handle may still be open

    # Logs

    def test_the_log_is_appended_to_and_a_handle_shows_its_own_part(
        self, run: Callable[..., Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "deep" / "log.txt"
        assert "first" in run("succeed", {"text": "first"}, log_path=path)[1]
        log = run("succeed", {"text": "second"}, log_path=path)[1]
        assert "second" in log
        assert "first" not in log
        assert "first" in path.read_text()

    def test_the_log_is_written_line_by_line(self, launch: Callable[..., Handle], tmp_path: Path) -> None:
        handle = launch("tidy_on_sigterm", {"out": str(tmp_path / "out")})
        until(lambda: "ready\n" in handle.logs())
        handle.cancel()

    def test_what_is_printed_last_reaches_the_log(self, run: Callable[..., Any]) -> None:
        assert "from C" in run("print_from_c")[1]
        assert "thread done\nat exit" in run("register_exit")[1]
        assert "naïve \\udcff ✓" in run("print_odd_text", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})[1]

    # Failure

    def test_exception(self, run: Callable[..., Any]) -> None:
        ending, log = run("fail")
        assert not ending.ok
        assert (ending.code, ending.signal, ending.cause) == (1, None, "exception")
        assert ending.message == "ValueError: the value is wrong"
        assert "Traceback (most recent call last)" in log
        assert log.rstrip().endswith("ValueError: the value is wrong")
        assert "launch/child.py" not in log  # the reader wants to see their own code

    @pytest.mark.parametrize(("code", "expected"), [(0, 0), (None, 0), (3, 3), (255, 255), ("gave up", 1)])
    def test_exit_code(self, run: Callable[..., Any], code: object, expected: int) -> None:
        ending, log = run("leave", {"code": code})
        assert ending.code == expected
        assert ending.cause == (None if expected == 0 else "exception")
        assert ("gave up" in log) == (code == "gave up")

    @pytest.mark.parametrize(
        ("entry", "words"),
        [("no_such_module:main", "no module 'no_such_module'"), (f"{ENTRIES}:no_such", "no attribute 'no_such'")],
    )
    def test_missing_entry(self, run: Callable[..., Any], entry: str, words: str) -> None:
        ending, log = run(entry)
        assert (ending.code, ending.cause) == (1, "exception")
        assert words in ending.message
        assert words in log

    def test_entry_whose_module_does_not_import(self, run: Callable[..., Any], tmp_path: Path) -> None:
        (tmp_path / "broken_module.py").write_text("import no_such_dependency\n")
        ending, _ = run("broken_module:main", env={"PYTHONPATH": str(tmp_path)})
        assert ending.cause == "exception"
        assert ending.message == "ModuleNotFoundError: No module named 'no_such_dependency'"

    def test_crash(self, run: Callable[..., Any]) -> None:
        ending, log = run("crash")
        assert (ending.code, ending.signal, ending.cause) == (None, signal.SIGSEGV, "exception")
        assert "launcher_entries.py" in log  # where in Python it was

    def test_what_cannot_be_launched(self, launcher: Launcher, launch: Callable[..., Handle], tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="not JSON"):
            launch("succeed", {"x": object()})
        with pytest.raises(SpecError, match="is no folder"):
            launch("succeed", cwd=tmp_path / "missing")
        with pytest.raises(LaunchError, match=r"could not be started.*IsADirectoryError"):
            launch("succeed", log_path=tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(LaunchError, match=r"folder of log.*cannot be made"):
            launch("succeed", log_path=tmp_path / "file" / "log.txt")
        launcher.close()
        launcher.close()
        with pytest.raises(LaunchError, match="closed"):
            launch("succeed")

    # Ended from outside

    def test_cancel_ends_the_whole_group(self, hanging: Callable[..., Any]) -> None:
        handle, pids = hanging()
        handle.cancel()
        ending = handle.wait(LONG_S)
        assert (ending.signal, ending.cause) == (signal.SIGTERM, "cancelled")
        until(lambda: all(gone(pid) for pid in pids))
        handle.cancel()
        assert handle.poll() == ending

    @pytest.mark.fault
    def test_cancel_of_what_ignores_sigterm(self, hanging: Callable[..., Any]) -> None:
        handle, pids = hanging(payload={"stubborn": True})
        handle.cancel()
        ending = handle.wait(LONG_S)
        assert (ending.signal, ending.cause) == (signal.SIGKILL, "cancelled")
        until(lambda: all(gone(pid) for pid in pids))

    def test_cancel_leaves_time_to_tidy_up(self, launch: Callable[..., Handle], tmp_path: Path) -> None:
        handle = launch("tidy_on_sigterm", {"out": str(tmp_path / "out")})
        until(lambda: "ready" in handle.logs())
        handle.cancel()
        ending = handle.wait(LONG_S)
        assert (ending.code, ending.cause) == (0, "cancelled")
        assert (tmp_path / "out").read_text() == "tidied\n"  # once: it was sent one SIGTERM

    def test_cancel_right_after_the_launch(self, launch: Callable[..., Handle], tmp_path: Path) -> None:
        for _ in range(5):
            handle = launch("hang", {"pids": str(tmp_path / "pids")})
            handle.cancel()
            assert handle.wait(LONG_S).cause == "cancelled"
        assert launch("succeed").wait(LONG_S).ok  # the server has not taken the signal for its own

    @pytest.mark.fault
    def test_timeout(self, hanging: Callable[..., Any]) -> None:
        handle, pids = hanging(limits=Limits(time_s=3.0))  # two interpreters have started by then
        ending = handle.wait(LONG_S)
        assert ending.cause == "timeout"
        assert ending.message == "It ran longer than 3 s."
        assert 2.9 < ending.duration_s < 12
        until(lambda: all(gone(pid) for pid in pids))

    @pytest.mark.fault
    def test_timeout_of_what_ignores_sigterm(self, hanging: Callable[..., Any]) -> None:
        handle, pids = hanging(limits=Limits(time_s=3.0), payload={"stubborn": True})
        ending = handle.wait(LONG_S)
        assert (ending.signal, ending.cause) == (signal.SIGKILL, "timeout")
        until(lambda: all(gone(pid) for pid in pids))

    @pytest.mark.fault
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_killed_from_outside(self, hanging: Callable[..., Any], number: signal.Signals) -> None:
        handle, pids = hanging()
        os.kill(handle.pid, number)
        ending = handle.wait(LONG_S)
        assert (ending.code, ending.signal, ending.cause) == (None, number, "killed")
        assert number.name in ending.message
        assert all(gone(pid) for pid in pids)  # at once: the exit is told when nothing is left

    def test_what_it_leaves_behind_is_ended(self, run: Callable[..., Any], tmp_path: Path) -> None:
        ending, log = run("leave_offspring", {"pids": str(tmp_path / "pids")})
        assert ending.ok, log
        assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())

    # Memory

    @pytest.mark.fault
    @pytest.mark.parametrize(
        ("entry", "payload"),
        [
            ("allocate_python", {"step_bytes": 16 * MIB}),
            ("allocate_python", {"step_bytes": 4096 * MIB}),
            ("allocate_numpy", {"bytes": 4096 * MIB}),
            ("allocate_slowly", {"bytes": 330 * MIB}),
            ("allocate_in_child", {"bytes": 330 * MIB}),
            ("swallow_memory_error", {"bytes": 4096 * MIB}),
        ],
    )
    def test_memory_limit(self, run: Callable[..., Any], entry: str, payload: dict[str, Any]) -> None:
        ending, log = run(entry, payload, limits=Limits(memory_bytes=300 * MIB, time_s=LONG_S))
        assert ending.cause == "out_of_memory", f"{ending}: {log}"
        assert ending.message

    def test_memory_within_the_limit(self, run: Callable[..., Any]) -> None:
        ending, log = run("allocate_numpy", {"bytes": 150 * MIB}, limits=Limits(memory_bytes=400 * MIB))
        assert ending.ok, log
        assert ending.peak_memory_bytes > 150 * MIB

    # Ends of the owner

    @pytest.mark.fault
    def test_closing_the_launcher_ends_what_runs(self, launcher: Launcher, hanging: Callable[..., Any]) -> None:
        handle, pids = hanging()
        launcher.close()
        assert all(gone(pid) for pid in pids)
        ending = handle.wait(LONG_S)
        assert ending.cause == "cancelled"

    @pytest.mark.fault
    @pytest.mark.parametrize("stubborn", [False, True])
    def test_death_of_the_owner_ends_what_runs(self, tmp_path: Path, stubborn: bool) -> None:
        code = f"""
            import sys
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parents[1])!r})
            from omniforge.launch import ForkLauncher, ProcessLauncher, Workload
            if __name__ == "__main__":
                launcher = {self.launcher_code}
                payload = {{"pids": {str(tmp_path / "pids")!r}, "stubborn": {stubborn}}}
                log_path = Path({str(tmp_path / "log")!r})
                handle = launcher.launch(Workload("w", "{ENTRIES}:hang", payload, log_path=log_path))
                launcher.ready()
                print(launcher.server_pid, flush=True)
                handle.wait()
        """
        script = tmp_path / "owner.py"
        script.write_text(textwrap.dedent(code))
        with tempfile.TemporaryDirectory() as temporary:
            self._kill_owner(script, tmp_path / "pids", {**os.environ, "TMPDIR": temporary})
            until(lambda: list(Path(temporary).iterdir()) == [])  # nor does it leave a file

    def _kill_owner(self, script: Path, pids_path: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, str(script)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
            until(pids_path.exists)
            assert owner.stdout is not None
            server = int(owner.stdout.readline())
            pids = [server, *map(int, pids_path.read_text().split())]
            assert not any(gone(pid) for pid in pids)
            owner.kill()
        until(lambda: all(gone(pid) for pid in pids))

    @pytest.mark.fault
    def test_death_of_the_server(self, launcher: Any, hanging: Callable[..., Any], run: Callable[..., Any]) -> None:
        handle, pids = hanging()
        first = launcher.server_pid
        os.kill(first, signal.SIGKILL)
        ending = handle.wait(LONG_S)
        assert ending.cause == "killed"
        assert "server" in ending.message
        until(lambda: all(gone(pid) for pid in pids[:2]))  # its group; a daemon of its own session has lost its keeper
        os.kill(pids[2], signal.SIGKILL)
        assert run("succeed")[0].ok
        assert launcher.server_pid != first
