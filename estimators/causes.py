"""Why an estimator failed, in the words that the record of work uses."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ..errors import OmniForgeError, SpaceError
from .reporting import StopTraining

OUT_OF_MEMORY = "out_of_memory"
EXCEPTION = "exception"
INVALID_CONFIGURATION = "invalid_configuration"
STOPPED = "stopped"

# How libraries say that memory ran out when they do not raise a MemoryError: torch on the CPU and on CUDA, C++, Arrow.
_MEMORY_PHRASES = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "unable to allocate",
)
_MEMORY_TYPES = {"OutOfMemoryError", "ArrowMemoryError", "_ArrayMemoryError"}


class EstimatorError(OmniForgeError, RuntimeError):
    """The code of an estimator failed; the original exception is chained to it.

    Args:
        message: What failed, where.
        cause: One of the causes of this module.
        stage: The method that failed, such as ``"train"``.
    """

    def __init__(self, message: str, *, cause: str, stage: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.cause = cause
        self.stage = stage


def cause_of(exception: BaseException) -> str:
    """Say why an estimator failed, from what it raised.

    Args:
        exception: What was raised; the exceptions chained to it are looked at too.

    Returns:
        ``"out_of_memory"``, ``"invalid_configuration"``, ``"stopped"`` or ``"exception"``.
    """
    chain = list(_chain(exception))
    if any(_is_out_of_memory(link) for link in chain):
        return OUT_OF_MEMORY
    for link in chain:
        if isinstance(link, EstimatorError):
            return link.cause
        if isinstance(link, SpaceError):
            return INVALID_CONFIGURATION
        if isinstance(link, StopTraining):
            return STOPPED
    return EXCEPTION


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """Yield the exception and those it came from, nearest first."""
    seen: set[int] = set()
    link: BaseException | None = exception
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _is_out_of_memory(exception: BaseException) -> bool:
    if isinstance(exception, MemoryError) or type(exception).__name__ in _MEMORY_TYPES:
        return True
    if isinstance(exception, OSError):
        return exception.errno == errno.ENOMEM
    text = str(exception).lower()
    return isinstance(exception, RuntimeError | ValueError) and any(phrase in text for phrase in _MEMORY_PHRASES)
