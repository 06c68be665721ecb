"""What surrounds one run of an estimator: its seed, its threads, where progress goes, where a model is saved.

Whoever runs an estimator (a task estimator, a test, a notebook) sets it with :func:`context`; the SDK reads it. It
travels in a :class:`~contextvars.ContextVar`, so that runs in different threads do not see each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..search.space import SearchSpace


class Reporter(Protocol):
    """Where an estimator's progress goes, and where the decision to stop it comes from."""

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Take the metrics reached at ``step``; return True when the training should stop here."""


@dataclass(frozen=True)
class RunContext:
    """The surroundings of one run.

    Args:
        seed: All randomness of the run follows from it; ``None`` outside of a context, then estimators use 0.
        threads: How many threads the run may compute with.
        reporter: Where progress goes; ``None``: nowhere.
        save_dir: The folder that a trainer run saves its model to; ``None``: the caller saves.
        space: The space that arguments are checked against, in place of the bundle's own.
    """

    seed: int | None = None
    threads: int = 1
    reporter: Reporter | None = None
    save_dir: Path | None = None
    space: SearchSpace | None = None


_current: ContextVar[RunContext | None] = ContextVar("omniforge_run_context", default=None)


def current() -> RunContext:
    """Return the context that holds here; the defaults when nobody set one."""
    return _current.get() or RunContext()


@contextmanager
def context(
    *,
    seed: int | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
    save_dir: str | Path | None = None,
    space: SearchSpace | None = None,
) -> Iterator[RunContext]:
    """Set the surroundings of the estimators that are made and run inside the ``with`` block.

    What is not given is taken over from the enclosing context. The arguments are the fields of :class:`RunContext`.
    """
    given: dict[str, Any] = {
        "seed": seed,
        "threads": threads,
        "reporter": reporter,
        "save_dir": None if save_dir is None else Path(save_dir),
        "space": space,
    }
    inner = dataclasses.replace(current(), **{name: value for name, value in given.items() if value is not None})
    token = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(token)
