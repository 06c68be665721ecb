"""A lane beside the worker's loop: what was trained is measured there, one after the other, while the next task trains.

It knows nothing of tasks: work is something that can be done or dropped. A lane that is full makes its owner wait, so that a
slow device slows the training down instead of piling models up.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

_JOIN_S = 10.0


@dataclass(frozen=True)
class Work:
    """One piece of work; exactly one of the two is called.

    Attributes:
        do: Does it.
        drop: Gives up what it holds, because it will not be done.
    """

    do: Callable[[], None]
    drop: Callable[[], None]


class Lane:
    """Do work in a thread of its own, in the order in which it came, until some of it raises: what comes after that is dropped.

    Leaving it waits until everything is done. Where an exception passes through, what has not begun is dropped, what has is
    waited for a few seconds, and the exception goes on.

    Args:
        depth: How much work may wait, at least 1; more makes :meth:`submit` wait.
    """

    def __init__(self, *, depth: int = 1) -> None:
        self._queue: queue.Queue[Work | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._dropping = False
        self._thread = threading.Thread(target=self._run, name="measuring", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._dropping = kind is not None
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=None if kind is None else _JOIN_S)
        self._thread.join(None if kind is None else _JOIN_S)
        if kind is None:
            self.check()

    def submit(self, work: Work) -> None:
        """Have work done.

        Raises:
            BaseException: What earlier work raised; the new work is dropped then.
        """
        try:
            self.check()
        except BaseException:
            work.drop()
            raise
        self._queue.put(work)

    def check(self) -> None:
        """Raise what work raised.

        Raises:
            BaseException: The same each time.
        """
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                if self._error is None and not self._dropping:
                    work.do()
                else:
                    work.drop()
            except BaseException as e:  # noqa: BLE001  # it is raised again in the owner's thread
                self._error = self._error or e
