"""How many workers a job gets: all that it is given can start at once (gang or nothing), so jobs cannot deadlock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import SpecError
from .resources import Resources

RESERVED_BYTES = 1 * 2**30


@dataclass(frozen=True)
class Allocation:
    """What one job gets.

    Attributes:
        workers: How many workers run at once.
        memory_bytes: The limit of each worker's task estimator.
        reasons: Why, for the person.
    """

    workers: int
    memory_bytes: int | None
    reasons: tuple[str, ...]


def allocate(
    resources: Resources,
    *,
    asked_workers: int | None,
    memory_bytes: int | None,
    trials: int,
    claimed_workers: Sequence[int] = (),
) -> Allocation:
    """Divide the machine.

    Args:
        resources: What is free.
        asked_workers: The user's wish; ``None`` takes one worker a free core.
        memory_bytes: What one task estimator may use.
        trials: More workers than trials would idle.
        claimed_workers: The workers of the other running jobs.

    Raises:
        SpecError: Not even one worker's memory is free.
    """
    reasons = []
    free_cores = max(1, resources.cores - sum(claimed_workers))
    wanted = asked_workers or free_cores
    if asked_workers is None:
        reasons.append(f"{wanted} workers: one for each of {free_cores} free cores of {resources.cores}.")
    elif asked_workers > resources.cores:
        reasons.append(f"{asked_workers} workers share {resources.cores} cores, as asked; times will be longer.")
    usable = max(0, resources.memory_bytes - RESERVED_BYTES)
    if memory_bytes is not None:
        fitting = usable // memory_bytes
        if fitting < 1:
            raise SpecError(
                f"One trial may need {memory_bytes / 2**30:.1f} GiB, but {usable / 2**30:.1f} GiB of memory is free.",
                hint="Close something, give fewer rows, or set --memory-mb to what a trial really needs.",
            )
        if fitting < wanted:
            reasons.append(f"{fitting} workers instead of {wanted}: memory for more is not free.")
            wanted = int(fitting)
    if trials < wanted:
        reasons.append(f"{trials} workers instead of {wanted}: there are no more trials.")
        wanted = trials
    return Allocation(wanted, memory_bytes, tuple(reasons))
