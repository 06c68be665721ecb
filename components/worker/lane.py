"""A lane beside the worker's loop: what was trained is measured there, one after the other, while the next task trains.

It knows nothing of tasks: work is a callable. A lane that is full makes its owner wait, so that a slow device slows the
training down instead of piling models up.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Self

Work = Callable[[], None]

_JOIN_S = 5.0


class Lane:
    """Run work in a thread of its own, in the order in which it came.

    Args:
        depth: How much work may wait, at least 1; more makes :meth:`submit` wait.
    """

    def __init__(self, *, depth: int = 1) -> None:
        self._queue: queue.Queue[Work | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name="measuring", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is done; where an exception passes through, drop what has not begun and wait for nothing."""
        if kind is None:
            try:
                self.drain()
            finally:
                self._queue.put(None)
            self._thread.join(_JOIN_S)
            return
        self._dropped = True
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def submit(self, work: Work) -> None:
        """Have work done.

        Raises:
            BaseException: What earlier work raised; nothing is done after it.
        """
        self._check()
        self._queue.put(work)

    def drain(self) -> None:
        """Wait until nothing is left.

        Raises:
            BaseException: What the work raised.
        """
        self._queue.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self) -> None:
        while True:
            work = self._queue.get()
            try:
                if work is None or self._dropped:
                    return
                if self._error is None:
                    work()
            except BaseException as e:  # noqa: BLE001  # it is raised again in the owner's thread
                self._error = e
            finally:
                self._queue.task_done()
