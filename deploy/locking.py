"""One measurement at a time on one machine: a file lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import MeasurementError

_POLL_S = 0.005


@contextmanager
def device_lock(lock_dir: Path, device: str, *, timeout_s: float = 60.0) -> Iterator[None]:
    """Hold ``device`` for this process.

    The lock is the kernel's (``flock``): a process that is killed gives it up, and no file has to be cleaned up.

    Args:
        lock_dir: The folder that every process that measures on this machine agrees on; made if it is missing.
        device: The device's name.
        timeout_s: How long to wait for the holder.

    Raises:
        MeasurementError: Another process holds the device for too long (a retry can help), or ``lock_dir`` cannot be
            written to.
    """
    path = lock_dir / f"measure-{device}.lock"
    try:
        lock_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as e:
        raise MeasurementError(f"The lock file {path} cannot be opened: {e.strerror or e}.") from e
    try:
        _acquire(handle, device, timeout_s=timeout_s)
        yield
    finally:
        os.close(handle)  # gives the lock up


def _acquire(handle: int, device: str, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise MeasurementError(
                    f"Device {device!r} was busy with another measurement for {timeout_s:g} s.",
                    hint="Measure with fewer workers at a time, or wait longer (lock_timeout_s).",
                ) from None
            time.sleep(_POLL_S)
        else:
            return
