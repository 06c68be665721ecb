"""Waiting for something to become true in the store without asking it again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import StoreUnavailableError
from .database import Database
from .dialect import Watch, WatchLostError

T = TypeVar("T")

RECHECK_S = 1.0
"""How often a waiting call looks even if it heard nothing: leases expire without anybody announcing it."""

_PACE_S = 0.01
"""The least time between two looks: a hundred reports in a row are heard as a few changes, not as a hundred."""

_RECONNECT_S = 0.5


def wait_until(
    database: Database, probe: Callable[[], T | None], *, channels: Sequence[str], timeout_s: float
) -> T | None:
    """Return the first result of ``probe`` that is not None, or None after ``timeout_s``.

    Args:
        database: What is watched.
        probe: Looks into the store; called at the start, after changes, and at least once a second.
        channels: What its answer depends on (see :func:`.dialect.channel_of`).
        timeout_s: How long to wait, >= 0.

    Raises:
        StoreUnavailableError: The database went away and did not come back in time.
    """
    deadline = time.monotonic() + timeout_s
    watch: Watch | None = None
    try:
        while True:
            try:
                if watch is None:
                    watch = database.borrow_watch(channels)
                # Listening first and looking second: no change can fall between the two.
                found = probe()
                looked_at = time.monotonic()
                remaining_s = deadline - looked_at
                if found is not None or remaining_s <= 0:
                    return found
                if watch.wait(min(remaining_s, RECHECK_S)):
                    time.sleep(max(0.0, looked_at + _PACE_S - time.monotonic()))
            except WatchLostError:
                if watch is not None:
                    watch.close()
                watch = None
            except StoreUnavailableError:
                if time.monotonic() + _RECONNECT_S >= deadline:
                    raise
                time.sleep(_RECONNECT_S)
    finally:
        if watch is not None:
            database.return_watch(watch)
