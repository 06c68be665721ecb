"""The worker's sign of life: it holds the lease of the task in hand and notices when the task is no longer wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import StoreError

if TYPE_CHECKING:
    from ...store import Store, TaskRecord

log = logging.getLogger(__name__)


class Heartbeat:
    """Beat for a worker, and for its task while it has one, from a thread of its own.

    Args:
        store: The record of work.
        worker_id: The worker.
        lease_s: How long a task is held; beats come at least three times as often.
    """

    def __init__(self, store: Store, worker_id: str, *, lease_s: float) -> None:
        self._store = store
        self._worker_id = worker_id
        self._lease_s = lease_s
        self._interval_s = min(2.0, lease_s / 3)
        # Task and event as one value: the thread must never set the event of the next task for the one before.
        self._held: tuple[TaskRecord, threading.Event] | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=5)
        self._beat("stopped")

    @contextmanager
    def holding(self, task: TaskRecord) -> Iterator[threading.Event]:
        """Keep the lease of ``task``; the event is set when it is lost, cancelled or timed out."""
        lost = threading.Event()
        self._held = (task, lost)
        try:
            yield lost
        finally:
            self._held = None

    def _run(self) -> None:
        while not self._stop.is_set():
            held = self._held
            if held is None:
                self._beat("idle")
            else:
                self._beat("busy", *held)
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def _beat(self, state: str, task: TaskRecord | None = None, lost: threading.Event | None = None) -> None:
        """Beat once; what the store refuses is logged, and the next beat tries again."""
        try:
            if task is not None and lost is not None and not self._store.broker.heartbeat(task, lease_s=self._lease_s):
                lost.set()
            self._store.workers.heartbeat(self._worker_id, state=state, task_id=None if task is None else task.id)
        except StoreError as e:
            log.warning("heartbeat not recorded: %s", e.message)
