"""One process at a time in a folder: a file lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError, StoreUnavailableError

_POLL_S = 0.02


@contextmanager
def folder_lock(folder: Path, *, timeout_s: float = 60.0) -> Iterator[None]:
    """Hold a folder for this process.

    Args:
        folder: The folder; made if it is missing.
        timeout_s: How long to wait for the holder.

    Raises:
        StoreError: The folder cannot be made or written to.
        StoreUnavailableError: Another process holds it for too long.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as e:
        raise StoreError(f"The folder {folder} cannot be written to: {e.strerror or e}.") from e
    try:
        deadline = time.monotonic() + timeout_s
        while not _is_taken(handle):
            if time.monotonic() >= deadline:
                raise StoreUnavailableError(f"Another process has held the folder {folder} for {timeout_s:g} s.")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)  # gives the lock up


def _is_taken(handle: int) -> bool:
    """Try to take the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
