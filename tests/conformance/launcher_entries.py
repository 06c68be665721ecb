"""The functions that the launcher suite launches."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def succeed(payload: dict[str, Any]) -> None:
    print("out:", payload.get("text", "fine"))
    sys.stderr.write("err: fine\n")


def echo(payload: dict[str, Any]) -> None:
    """Write down what the process sees."""
    import json

    seen = {
        "payload": payload["payload"],
        "cwd": str(Path.cwd()),
        "env": dict(os.environ),
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "session": os.getsid(0),
        "argv": sys.argv,
        "sigterm": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "stdin": sys.stdin.read(),
        "fds": sorted(_open_files()),
        "random": random.random(),
    }
    Path(payload["out"]).write_text(json.dumps(seen))


def _open_files() -> list[str]:
    names = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that reads the folder
            names.append(str(link.readlink()))
    return names


def numpy_numbers(payload: dict[str, Any]) -> None:
    import numpy as np

    print(np.random.random())


def fail(payload: dict[str, Any]) -> None:
    raise ValueError("the value is wrong")


def leave(payload: dict[str, Any]) -> None:
    sys.exit(payload["code"])


def hang(payload: dict[str, Any]) -> None:
    """Sleep, with a child and a grandchild in a session of its own, after writing down their process ids."""
    if payload.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids = [os.getpid(), *_offspring()]
    path = Path(payload["pids"])
    path.with_suffix(".new").write_text(" ".join(map(str, pids)))
    path.with_suffix(".new").rename(path)
    time.sleep(payload.get("for_s", 60))


def _offspring() -> list[int]:
    plain = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    # A daemon as they are made: the one in between ends at once, its child ignores SIGTERM in a session of its own.
    code = (
        "import os, signal, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    )
    daemon = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    return [plain.pid, int(daemon.stdout.readline())]


def leave_offspring(payload: dict[str, Any]) -> None:
    Path(payload["pids"]).write_text(" ".join(map(str, _offspring())))


def tidy_on_sigterm(payload: dict[str, Any]) -> None:
    def tidy(number: int, frame: object) -> None:
        with Path(payload["out"]).open("a") as file:
            file.write("tidied\n")
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, tidy)
    print("ready")
    time.sleep(60)


def allocate_python(payload: dict[str, Any]) -> None:
    held = []
    while True:
        held.append(bytearray(payload["step_bytes"]))


def allocate_numpy(payload: dict[str, Any]) -> None:
    import numpy as np

    np.ones(payload["bytes"] // 8).sum()


def allocate_slowly(payload: dict[str, Any]) -> None:
    """Hold a little more than the limit: less than what makes an allocation fail."""
    held = bytearray(payload["bytes"])
    for i in range(0, len(held), 4096):
        held[i] = 1
    time.sleep(60)


def allocate_in_child(payload: dict[str, Any]) -> None:
    code = f"held = b'x' * {payload['bytes']}; import time; time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=True)


def swallow_memory_error(payload: dict[str, Any]) -> None:
    try:
        bytearray(payload["bytes"])
    except MemoryError as e:
        raise RuntimeError("no room for the model") from e


def crash(payload: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def register_exit(payload: dict[str, Any]) -> None:
    import atexit
    import threading

    atexit.register(lambda: print("at exit"))
    threading.Thread(target=lambda: (time.sleep(0.05), print("thread done"))).start()


def print_from_c(payload: dict[str, Any]) -> None:
    import ctypes

    ctypes.CDLL(None).puts(b"from C")


def print_odd_text(payload: dict[str, Any]) -> None:
    print("naïve \udcff ✓")


def print_thread_counts(payload: dict[str, Any]) -> None:
    import numpy  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import threadpoolctl
    import torch

    print(sorted({torch.get_num_threads(), *(pool["num_threads"] for pool in threadpoolctl.threadpool_info())}))


def launch_below(payload: dict[str, Any]) -> None:
    """Launch a workload of one's own, and wait for it."""
    from omniforge.launch import ForkLauncher, Workload

    began_s = time.monotonic()
    with ForkLauncher(payload.get("preload", []), grace_s=0.5) as launcher:
        launcher.ready()
        print(f"server {launcher.server_pid} ready after {time.monotonic() - began_s:.3f} s", *launcher.warnings)
        log_path = Path(payload["log"])
        handle = launcher.launch(Workload("below", payload["entry"], payload["payload"], log_path=log_path))
        print(handle.wait())


def print_ancestors(payload: dict[str, Any]) -> None:
    """Print the pids from here up to the first process."""
    pids = [os.getpid()]
    while pids[-1] > 1:
        pids.append(int(Path(f"/proc/{pids[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    print(*pids)


def print_modules(payload: dict[str, Any]) -> None:
    print(*[name for name in payload["modules"] if name in sys.modules])
