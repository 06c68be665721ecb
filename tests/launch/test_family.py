from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PREAMBLE = """
import os, sys, time
from omniforge.launch.family import Family
from omniforge.launch.processes import adopt_orphans
from omniforge.launch.supervision import Bounds

adopt_orphans()
family = Family()
left = []

def fork(log, role, bounds=Bounds(grace_s=0.3)):
    pid, status_fd = family.fork(log, bounds, leave=lambda: left.append(True), reports=True)
    if pid == 0:
        try:
            role()
            os._exit(5 if left else 6)
        except BaseException as e:
            print(e, flush=True)
            os._exit(7)
    return pid

def until_gone(count):
    gone = []
    deadline_s = time.monotonic() + 20
    while len(gone) < count:
        assert time.monotonic() < deadline_s
        family.check()
        gone += family.reap()
        time.sleep(0.005)
    return dict(gone)
"""


def run(tmp_path: Path, code: str) -> list[str]:
    """Run in a process of its own: whoever forks adopts orphans and reaps whatever child it has."""
    script = PREAMBLE + f"log = {str(tmp_path / 'log')!r}\n" + code
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_child_leads_a_session_and_writes_to_the_log(tmp_path: Path) -> None:
    code = """
pid = fork(log, lambda: print(os.getsid(0) == os.getpgid(0) == os.getpid(), flush=True))
print(len(family), until_gone(1)[pid]["code"], len(family))
"""
    assert run(tmp_path, code) == ["1 5 0"]
    assert (tmp_path / "log").read_text() == "True\n"


def test_the_log_is_opened_before_anything_is_forked(tmp_path: Path) -> None:
    code = """
before = len(os.listdir("/proc/self/fd"))
try:
    fork("/proc/no/such/log", lambda: None)
except OSError as e:
    print(type(e).__name__, len(family), len(os.listdir("/proc/self/fd")) - before)
"""
    assert run(tmp_path, code) == ["FileNotFoundError 0 0"]


def test_orphans_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    code = """
def leave_a_daemon():
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            print("daemon", os.getpid(), flush=True)
            time.sleep(60)
        os._exit(0)
    os.wait()
    while "daemon" not in open(log + sys.argv[-1]).read(): time.sleep(0.005)

def stay():
    leave_a_daemon()
    print("stays", flush=True)
    time.sleep(60)

sys.argv.append("1"); staying = fork(log + "1", stay)
sys.argv.append("2"); leaving = fork(log + "2", leave_a_daemon)
print(until_gone(1)[leaving]["code"])
while "stays" not in open(log + "1").read(): time.sleep(0.005)
def alive(number):
    pid = int(open(log + number).read().split()[1])
    return os.path.exists(f"/proc/{pid}")
print(alive("1"), alive("2"))
family.terminate("cancelled", "The end.", pid=staying)
print(until_gone(1)[staying]["cause"], alive("1"))
"""
    assert run(tmp_path, code) == ["5", "True False", "cancelled False"]


def test_limits_hold_for_each_member(tmp_path: Path) -> None:
    code = """
short = fork(log, lambda: time.sleep(60), Bounds(time_s=0.2, grace_s=0.2))
long = fork(log, lambda: time.sleep(1.0), Bounds(time_s=30.0, grace_s=0.2))
print(family.next_check_s < time.monotonic() + 1)
gone = until_gone(2)
print(gone[short]["cause"], gone[long]["code"])
"""
    assert run(tmp_path, code) == ["True", "timeout 5"]


def test_an_error_in_the_child_never_returns_to_the_server(tmp_path: Path) -> None:
    code = """
pid, _ = family.fork(log, Bounds(), leave=lambda: 1 / 0, reports=True)
print("server" if pid else "child", until_gone(1)[pid]["code"])
"""
    assert run(tmp_path, code) == ["server 1"]
