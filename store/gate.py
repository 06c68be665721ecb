"""A queue for the writers of one SQLite file. It is about order only: SQLite's own lock keeps the data right.

SQLite lets one process write at a time and has the others sleep and retry, up to 100 ms between tries. Under load a few
processes then get nearly all the turns, and others none for seconds. A blocking ``flock`` on a file beside the database is
handed over by the kernel at once and about evenly. A holder that is killed gives the lock back with its file descriptor;
one that is stopped holds the others up, as it would by SQLite's own lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WriterGate:
    """The queue of one database file; one object per process, guarded by its caller against threads.

    Args:
        path: The lock file; made when it is first needed and never removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this process's turn to write, and hold it."""
        held = self._acquire()
        try:
            yield
        finally:
            if held:
                fcntl.flock(self._opened(), fcntl.LOCK_UN)

    def close(self) -> None:
        """Give back the file descriptor; the next turn opens another."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _acquire(self) -> bool:
        try:
            fcntl.flock(self._opened(), fcntl.LOCK_EX)
        except OSError:
            # No lock file can be made here, or this file system has no flock: SQLite's own retries still serve.
            return False
        return True

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self._descriptor
