"""The token of a device: made once, kept in a file, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

from ...deploy.devices import clean_token
from ...errors import SpecError

_SHORTEST = 16
_OTHER = "Copy it from the device again; on the device itself, remove the file: a new token is made."

_log = logging.getLogger(__name__)


class Token:
    """One secret.

    Args:
        value: The secret.
    """

    def __init__(self, value: str) -> None:
        self._digest = _digest(value)

    def matches(self, given: str) -> bool | None:
        """Return ``True`` for the right token, else ``None``; how long it takes tells nothing about the token.

        Args:
            given: What a request brought.
        """
        return hmac.compare_digest(self._digest, _digest(given)) or None


def read_token(path: Path) -> str:
    """Return the token that a file holds.

    Args:
        path: The file; blanks around the token are no part of it.

    Raises:
        SpecError: The file cannot be read, or what it holds is no token.
    """
    try:
        value = clean_token(path.read_text(encoding="utf-8"), of=f"in the token file {path}")
    except OSError as e:
        raise SpecError(
            f"The token file {path} cannot be read: {e.strerror}.",
            hint="Name a file that this user can read; an agent prints at its start where its own is.",
        ) from e
    except UnicodeDecodeError:
        raise SpecError(f"The token file {path} holds no token: it is no text.", hint=_OTHER) from None
    if len(value) < _SHORTEST:
        raise SpecError(
            f"The token file {path} holds no token: expected at least {_SHORTEST} letters, digits and signs in one line.",
            hint=_OTHER,
        )
    return value


def make_token(path: Path) -> str:
    """Return the token that a file holds; a new one is written there, for its owner only, if there is no file.

    Args:
        path: The file.

    Raises:
        SpecError: The file cannot be read or written, or what it holds is no token.
    """
    value = secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as e:
        if path.is_file():
            if path.stat().st_mode & 0o077:
                _log.warning("Others on this machine can read the token file %s: chmod 600 %s", path, path)
            return read_token(path)
        hint = "Name a place where this user can write: --token-file FILE"
        raise SpecError(f"The token file {path} cannot be written: {e.strerror}.", hint=hint) from e
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value + "\n")
    return value


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
