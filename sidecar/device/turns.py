"""Whose turn it is: a queue that serves clients in rotation, so that one with a hundred wishes does not starve the others.

Next is the client that was served least recently (a client that was never served comes first); its wishes keep their order.
What the wishes are is not known here.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_REMEMBERED = 1000  # clients: whoever comes back after being served is not new


class Turns(Generic[T]):
    """Wait fairly. It is not safe to use from several threads at once.

    Args:
        limit: How many may wait.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[str, deque[T]] = {}
        self._served: OrderedDict[str, int] = OrderedDict()
        self._turn = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return self._count >= self._limit

    def add(self, client: str, wish: T) -> None:
        """Wait for a turn.

        Args:
            client: Who wishes.
            wish: What; not waiting yet.

        Raises:
            OverflowError: Too many wait.
        """
        if self.full:
            raise OverflowError(f"{self._count} wait already.")
        self._waiting.setdefault(client, deque()).append(wish)
        self._count += 1

    def take(self) -> T | None:
        """Return what is next, which then waits no more; ``None`` if nothing waits."""
        if not self._count:
            return None
        client = min(self._waiting, key=lambda name: self._served.get(name, -1))  # the first of those who tie
        wish = self._waiting[client].popleft()
        self._forget_if_done(client)
        self._turn += 1
        self._served[client] = self._turn
        self._served.move_to_end(client)
        while len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        return wish

    def remove(self, client: str, wish: T) -> bool:
        """Stop waiting; return whether it did wait."""
        if wish not in self._waiting.get(client, ()):
            return False
        self._waiting[client].remove(wish)
        self._forget_if_done(client)
        return True

    def before(self, client: str, wish: T) -> int:
        """Return how many are served before ``wish`` if nobody else comes; 0 if it does not wait.

        Args:
            client: Who wishes.
            wish: What.
        """
        own = self._waiting.get(client, deque())
        if wish not in own:
            return 0
        rounds = own.index(wish)
        order = self._served.get(client, -1), list(self._waiting).index(client)
        count = rounds
        for place, (name, others) in enumerate(self._waiting.items()):
            if name != client:
                ahead = (self._served.get(name, -1), place) < order
                count += min(len(others), rounds + ahead)
        return count

    def _forget_if_done(self, client: str) -> None:
        self._count -= 1
        if not self._waiting[client]:
            del self._waiting[client]
