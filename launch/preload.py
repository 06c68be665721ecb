"""Loads modules into a fork server, and says which of them make a fork unsafe."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from .processes import lasting_threads

# Modules whose threads only wait and hold nothing that a fork could miss. onnxruntime: one that sessions do not use.
_HARMLESS = frozenset({"onnxruntime"})


@dataclass(frozen=True)
class Preloaded:
    """What came of loading one module.

    Args:
        module: Its name.
        duration_s: How long it took.
        error: Why it could not be loaded; the workload that needs it will say so again.
        threads: The names of the threads that it started and that no forked process will have.
    """

    module: str
    duration_s: float
    error: str | None = None
    threads: tuple[str, ...] = ()

    @property
    def warning(self) -> str | None:
        """What a person should know about it."""
        if self.error is not None:
            return f"Module {self.module!r} was not preloaded: {self.error}"
        if self.threads:
            return (
                f"Preloading {self.module!r} started {len(self.threads)} thread(s) ({', '.join(self.threads)}) "
                "that do not exist in a forked process; a lock that one of them holds would never be released. "
                "Import it in the entry function instead."
            )
        return None


def preload(modules: Iterable[str]) -> list[Preloaded]:
    """Import modules one by one; one that fails is passed over."""
    loaded: list[Preloaded] = []
    known = len(lasting_threads())
    for module in modules:
        began_s = time.monotonic()
        error = _import(module)
        threads = lasting_threads()
        started = () if module in _HARMLESS else tuple(threads[known:])
        known = len(threads)
        loaded.append(Preloaded(module, time.monotonic() - began_s, error, started))
    return loaded


def _import(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as e:  # noqa: BLE001  # a user's module must not end the server
        return f"{type(e).__name__}: {e}"
    return None
