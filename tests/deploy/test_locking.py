from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from omniforge.deploy.locking import device_lock
from omniforge.errors import MeasurementError

HOLDER = """
import sys, time
from pathlib import Path
from omniforge.deploy.locking import device_lock
with device_lock(Path(sys.argv[1]), "local"):
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.fault
def test_a_killed_holder_gives_the_device_up(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    with pytest.raises(MeasurementError, match="busy") as caught, device_lock(tmp_path, "local", timeout_s=0.05):
        pass
    assert caught.value.retryable
    with device_lock(tmp_path, "other", timeout_s=0.05):  # another device is free
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with device_lock(tmp_path, "local", timeout_s=5):
        pass


def test_one_after_another_in_one_process(tmp_path: Path) -> None:
    inside = threading.Event()
    order = []

    def wait_for_it() -> None:
        inside.wait(5)
        with device_lock(tmp_path, "local", timeout_s=5):
            order.append("second")

    waiter = threading.Thread(target=wait_for_it)
    waiter.start()
    with device_lock(tmp_path, "local"):
        inside.set()
        waiter.join(0.05)
        order.append("first")
    waiter.join(5)
    assert order == ["first", "second"]


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), device_lock(tmp_path / "new" / "folder", "local"):
        raise RuntimeError("boom")
    with device_lock(tmp_path / "new" / "folder", "local", timeout_s=0.01):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeasurementError, match=r"measure-local\.lock"), device_lock(tmp_path / "file", "local"):
        pass
