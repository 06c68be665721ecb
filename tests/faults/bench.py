"""Jobs in processes of their own, as a user runs them, and what it takes to hurt them at a known moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from omniforge.client import Client
from omniforge.settings import Settings
from omniforge.store import TaskRecord

T = TypeVar("T")

BUNDLE = Path(__file__).parent / "bundle"
COMMAND = [sys.executable, "-c", "from omniforge.cli import main; main()"]
CLIENT = "import json, sys; from omniforge.client import Client; Client().run(json.loads(sys.argv[1]))"
LEASE_S = 4.0
PATIENCE_S = 90.0
POLL_S = 0.05
SMALL_BYTES = 2**20
SOUND = {
    "fault": {"type": "choice", "range": ["none"]},
    "strength": {"type": "float", "range": [0.01, 100], "log": True},
}
OPEN = ("pending", "reserved", "running")


def until(look: Callable[[], T], what: str, *, timeout_s: float = PATIENCE_S) -> T:
    """Return the first result of ``look`` that is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(POLL_S)
    return found


class Bench:
    """A home of its own, the job in it, and every process that belongs to it.

    Attributes:
        home: ``OMNIFORGE_HOME``; a process belongs to the bench when its environment names it.
        faults: The folder that the estimator of the bundle looks into.
        client: A client of this process, to look at the job and to steer it.
    """

    def __init__(self, folder: Path, *, lease_s: float = LEASE_S) -> None:
        from sklearn.datasets import load_iris

        self.folder = folder
        self.home = folder / "home"
        self.faults = folder / "faults"
        self.data = folder / "iris.csv"
        self.faults.mkdir(parents=True)
        load_iris(as_frame=True).frame.to_csv(self.data, index=False)
        self.client = Client(Settings(home=self.home, lease_s=lease_s))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")},
            "OMNIFORGE_HOME": str(self.home),
            "OMNIFORGE_LEASE_S": str(lease_s),
            "FAULTS": str(self.faults),
            "OMP_NUM_THREADS": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    # -- the command

    def start(self, *arguments: object) -> None:
        """Start a command line; its output goes to the files ``out`` and ``err``."""
        self._popen([*COMMAND, *map(str, arguments)])

    def run(self, **spec: Any) -> None:
        """Start a job of two workers through the Python client."""
        common = {"data": str(self.data), "target": "target", "estimator": str(BUNDLE), "workers": 2, "name": "job"}
        self._popen([sys.executable, "-c", CLIENT, json.dumps({**common, **spec})])

    def end(self) -> int:
        """Wait for the command's end and return its exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def call(self, *arguments: object) -> int:
        """Run a command line to its end."""
        self.start(*arguments)
        return self.end()

    @property
    def said(self) -> str:
        """What the last command wrote to standard error."""
        return (self.folder / "err").read_text()

    def _popen(self, command: list[str]) -> None:
        assert self.process is None or self.process.poll() is not None
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                stdout=out,
                stderr=err,
                cwd=self.folder,
                start_new_session=True,
                # a job in the background of a shell ignores Ctrl-C; the tests may be one
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def aside(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command line while the other one runs."""
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    # -- its processes

    def processes(self) -> list[int]:
        """Return every process that was started with this home in its environment; zombies are not among them."""
        mark = f"OMNIFORGE_HOME={self.home}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found

    def until_nothing_is_left(self) -> None:
        """Wait, for seconds, until the last process is gone."""
        until(lambda: not self.processes(), "no process is left", timeout_s=10)

    def clear(self) -> None:
        """Kill what a failed test has left."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    # -- the job

    @property
    def job(self) -> str:
        """The id of the one job."""
        [job] = until(self.client.jobs, "the job is recorded")
        return str(job["id"])

    def document(self) -> dict[str, Any]:
        """Return the job as ``jobs show --json`` prints it."""
        return self.client.show(self.job)

    def tasks(self, phase: str = "search") -> list[TaskRecord]:
        """Return the tasks of a phase."""
        with self.client.store() as store:
            return store.broker.tasks(self.job, phase=phase)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of the job's events of a kind, the oldest first."""
        with self.client.store() as store:
            return [dict(event.payload) for event in store.events.since(self.job) if event.kind == kind]

    def assert_nothing_is_lost_or_counted_twice(self, trials: int, *, succeeded: int | None = None) -> None:
        """Check the search of a job that has succeeded.

        Args:
            trials: How many were asked for.
            succeeded: How many of them have a score; default all.
        """
        tasks = [task for task in self.tasks() if task.state != "cancelled"]
        scored = [task for task in tasks if task.rewards]
        with self.client.store() as store:
            learned = store.strategies.load(self.job, "search")
        assert self.document()["state"] == "succeeded", self.said
        assert Counter(task.state for task in tasks if task.state in OPEN) == Counter()
        assert len(tasks) == trials
        assert len(scored) == (trials if succeeded is None else succeeded)
        assert [task.state for task in scored] == ["succeeded"] * len(scored)
        assert len({json.dumps(task.config, sort_keys=True) for task in tasks}) == trials
        assert learned is not None
        assert learned["told"] == sorted(task.id for task in self.tasks())

    # -- the moment

    def hold(self, after: int = 0) -> None:
        """Have every candidate of the search wait in its training once ``after`` have passed."""
        (self.faults / "hold-after").write_text(str(after))

    def release(self) -> None:
        """Let them go on."""
        (self.faults / "hold-after").unlink()

    def until_held(self, count: int = 2) -> set[int]:
        """Wait until so many trainings wait, and return their processes."""
        return until(lambda: found if len(found := self._held()) >= count else set(), f"{count} trainings wait")

    def _held(self) -> set[int]:
        alive = set(self.processes())
        return {int(path.name.removeprefix("held-")) for path in self.faults.glob("held-*")} & alive


@contextlib.contextmanager
def small_disk(bench: Bench, folder: Path) -> Iterator[None]:
    """Make ``folder`` a disk of 1 MiB; where nothing may be mounted, the estimator limits its own files there."""
    folder.mkdir(parents=True, exist_ok=True)
    if mounted(folder, size_bytes=SMALL_BYTES):
        try:
            yield
        finally:
            unmount(folder)
    else:
        note = bench.faults / "small"
        note.write_text(str(folder))
        yield
        note.unlink()


def mounted(folder: Path, *, size_bytes: int) -> bool:
    """Mount a file system of so many bytes, if that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "omniforge-test", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    """Take a file system away, whoever still looks at it."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def opened(folder: Path, *, lease_s: float = LEASE_S) -> Iterator[Bench]:
    """Give a bench, and kill at the end what a failed test has left of it."""
    bench = Bench(folder, lease_s=lease_s)
    try:
        yield bench
    finally:
        bench.clear()
