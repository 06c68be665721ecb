"""The worker's sign of life: it holds the leases of the tasks in hand and notices when one is no longer wanted."""

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
    """Beat for a worker and for the tasks that it has, one in training and others being measured, from a thread of its own.

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
        self._held: dict[int, tuple[TaskRecord, threading.Event]] = {}
        self._training: int | None = None
        self._lock = threading.Lock()
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
        lost = self.hold(task)
        try:
            yield lost
        finally:
            self.let_go(task)

    def hold(self, task: TaskRecord) -> threading.Event:
        """Keep the lease of ``task`` until it is let go; the event is set when it is lost, cancelled or timed out."""
        lost = threading.Event()
        with self._lock:
            self._held[task.id] = (task, lost)
            self._training = task.id
        self._wake.set()
        return lost

    def trained(self, task: TaskRecord) -> None:
        """Say that ``task`` is only being measured from now on, or waits for it: no limit of training applies any more."""
        with self._lock:
            if self._training == task.id:
                self._training = None
        self._wake.set()

    def let_go(self, task: TaskRecord) -> None:
        """Keep the lease of ``task`` no longer; letting go twice is fine."""
        self.trained(task)
        with self._lock:
            self._held.pop(task.id, None)

    def lose_all(self) -> None:
        """Tell everything that is in hand that it is wanted no more."""
        with self._lock:
            for _, lost in self._held.values():
                lost.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            with self._lock:
                held, training = list(self._held.values()), self._training
            for task, lost in held:
                self._renew(task, lost)
            self._beat("busy" if held else "idle", training)
            self._wake.wait(self._interval_s)

    def _renew(self, task: TaskRecord, lost: threading.Event) -> None:
        try:
            if not self._store.broker.heartbeat(task, lease_s=self._lease_s):
                lost.set()
        except StoreError as e:
            log.warning("the lease of task %d was not renewed: %s", task.number, e.message)

    def _beat(self, state: str, task_id: int | None = None) -> None:
        """Beat once; what the store refuses is logged, and the next beat tries again."""
        try:
            self._store.workers.heartbeat(self._worker_id, state=state, task_id=task_id)
        except StoreError as e:
            log.warning("heartbeat not recorded: %s", e.message)
