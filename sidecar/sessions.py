"""The sessions that are open, found by their tokens."""

from __future__ import annotations

import hashlib
import hmac
import threading

from .session import Session


class Sessions:
    """Open sessions. A token is compared in constant time with every one, so that time tells nothing about any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: Session) -> None:
        """Open a session."""
        with self._lock:
            self._open[_digest(session.token)] = session

    def remove(self, session: Session) -> None:
        """Forget a session; forgetting twice is fine."""
        with self._lock:
            self._open.pop(_digest(session.token), None)

    def find(self, token: str) -> Session | None:
        """Return the session of a token."""
        given = _digest(token)
        with self._lock:
            sessions = list(self._open.items())
        found = None
        for digest, session in sessions:
            if hmac.compare_digest(digest, given):
                found = session
        return found

    def close_all(self) -> None:
        """Close every session."""
        with self._lock:
            sessions = list(self._open.values())
        for session in sessions:
            session.close()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
