from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conformance.launcher_suite import MIB, until

from omniforge.launch import processes

TREE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    os.fork()
os.write(1, b"ready\\n")  # in one piece, whatever the buffering
time.sleep(60)
"""


@pytest.fixture
def tree() -> Iterator[int]:
    """A process with a child in another session that has a child."""
    process = subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "ready\n"
    yield process.pid
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        one.kill()
    process.wait()


def test_children_and_descendants(tree: int) -> None:
    expected = psutil.Process(tree)
    assert processes.children(tree) == {one.pid for one in expected.children()}
    assert set(processes.descendants(tree)) == {one.pid for one in expected.children(recursive=True)}
    assert len(processes.descendants(tree)) == 2


def test_children_where_the_kernel_does_not_list_them(tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_kernel_lists_children", lambda: False)
    assert processes.children(tree) == {one.pid for one in psutil.Process(tree).children()}
    assert len(processes.descendants(tree)) == 2


def test_a_process_that_is_gone_has_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: processes.start_ticks(process.pid) is None)  # a zombie
    process.wait()
    assert processes.start_ticks(process.pid) is None
    assert processes.children(process.pid) == set()
    assert processes.memory_bytes([process.pid]) == 0


def test_start_ticks_identify_a_process() -> None:
    assert processes.start_ticks(os.getpid()) == processes.start_ticks(os.getpid())
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    boot_s = psutil.boot_time()
    started_s = boot_s + (processes.start_ticks(os.getpid()) or 0) / ticks_per_s
    assert abs(started_s - psutil.Process().create_time()) < 2


def test_memory_counts_what_is_held_and_not_what_is_mapped_from_files(tmp_path: Path) -> None:
    path = tmp_path / "array"
    path.write_bytes(bytes(64 * MIB))
    before = processes.memory_bytes([os.getpid()])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        assert processes.memory_bytes([os.getpid()]) - before < 16 * MIB
        held = bytearray(b"x" * (64 * MIB))
        assert 60 * MIB < processes.memory_bytes([os.getpid()]) - before < 160 * MIB
        del held


def test_memory_that_a_fork_shares_counts_once() -> None:
    held = bytearray(b"x" * (64 * MIB))
    before = processes.memory_bytes([os.getpid()])
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    both = processes.memory_bytes([os.getpid(), child])
    bound = processes.memory_bytes([os.getpid(), child], up_to_bytes=2**50)
    os.write(writer, b"x")
    os.waitpid(child, 0)
    for fd in (reader, writer):
        os.close(fd)
    assert abs(both - before) < 32 * MIB
    assert bound > both + 48 * MIB  # the cheap bound counts it twice
    del held


def test_data_bytes_counts_what_is_reserved() -> None:
    before = processes.data_bytes()
    with mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS):
        assert processes.data_bytes() - before >= 64 * MIB


def test_lasting_threads() -> None:
    code = (
        "import threading, time, numpy\n"
        "from omniforge.launch.processes import lasting_threads\n"
        "a = numpy.random.rand(600, 600) @ numpy.random.rand(600, 600)\n"
        "print(len(lasting_threads()))\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print(len(lasting_threads()))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}  # OpenBLAS has a thread of its own, which knows about fork
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["0", "1"]


def test_oom_kills_never_fall() -> None:
    first = processes.oom_kills()
    assert 0 <= first <= processes.oom_kills()


def test_oom_kills_sums_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events").write_text("low 0\nhigh 3\noom 2\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 5\n")
    counters = [(tmp_path / name, "oom_kill") for name in ("events", "missing", "vmstat")]
    monkeypatch.setattr(processes, "_OOM_COUNTERS", counters)
    assert processes.oom_kills() == 7


def test_die_with_parent_and_adopt_orphans() -> None:
    code = (
        "import os, signal, time\n"
        "from omniforge.launch import processes\n"
        "processes.adopt_orphans()\n"
        "own = os.getpid()\n"
        "if os.fork() == 0:\n"  # ends, and leaves a child to this process
        "    if os.fork() == 0:\n"
        "        while os.getppid() != own: time.sleep(0.01)\n"
        "        print('adopted', flush=True)\n"
        "        os._exit(0)\n"
        "    os._exit(0)\n"
        "os.wait(); os.wait()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    processes.die_with_parent(own, signal.SIGKILL)\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "adopted\n"
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: processes.start_ticks(child) is None)


def test_a_process_whose_parent_is_already_gone_ends() -> None:
    child = os.fork()
    if child == 0:
        processes.die_with_parent(1, signal.SIGKILL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_the_threads_of_this_test_are_python_threads() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert len(processes.lasting_threads()) >= 1
    stop.set()
    thread.join()
