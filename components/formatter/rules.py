"""What the formatter knows without earlier jobs: which algorithms suit a data set, how much memory and time to allow.

Every rule returns its decision together with a sentence for the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...data import DataProfile
    from ...search import SearchSpace

MANY_ROWS_FOR_NEIGHBOURS = 50_000
MANY_COLUMNS_FOR_NEIGHBOURS = 200
FEW_ROWS_FOR_NETWORKS = 100
BASE_MEMORY_BYTES = 1_500 * 2**20
COPIES_OF_DATA = 24


@dataclass(frozen=True)
class Choice:
    """A value and why it was chosen."""

    value: Any
    reason: str


def algorithms_to_leave_out(profile: DataProfile) -> list[Choice]:
    """Return the algorithms that would waste trials on this data, each with the reason."""
    left_out = []
    if profile.rows > MANY_ROWS_FOR_NEIGHBOURS:
        left_out.append(Choice("knn", f"{profile.rows} rows make nearest neighbours slow and large where they run"))
    elif len(profile.features) > MANY_COLUMNS_FOR_NEIGHBOURS:
        left_out.append(Choice("knn", f"{len(profile.features)} columns blur the distance between neighbours"))
    if profile.rows < FEW_ROWS_FOR_NETWORKS:
        left_out.append(Choice("mlp", f"{profile.rows} rows are too few for a neural network"))
    return left_out


def narrow(space: SearchSpace, profile: DataProfile, *, parameter: str = "algorithm") -> tuple[SearchSpace, list[str]]:
    """Leave unsuitable algorithms out of ``space``; a space without that parameter stays as it is."""
    if parameter not in space.parameters:
        return space, []
    kept = list(getattr(space.parameters[parameter].domain, "values", ()))
    reasons = []
    for choice in algorithms_to_leave_out(profile):
        if choice.value in kept and len(kept) > 1:
            kept.remove(choice.value)
            reasons.append(f"{choice.value} is left out: {choice.reason}.")
    return (space.edit(parameter, range=kept) if reasons else space), reasons


def memory_limit(rows: int, width: int, *, asked_mb: int | None) -> Choice:
    """Return the memory limit of one task estimator, in bytes."""
    if asked_mb is not None:
        return Choice(asked_mb * 2**20, f"Each trial may use {asked_mb} MiB, as asked.")
    data_bytes = 4 * rows * max(1, width)
    needed = BASE_MEMORY_BYTES + COPIES_OF_DATA * data_bytes
    return Choice(
        needed, f"Each trial may use {needed / 2**30:.1f} GiB: the libraries and {COPIES_OF_DATA} copies of the data."
    )


def time_limit(rows: int, width: int, *, asked_s: float | None) -> Choice:
    """Return the hard limit of one task estimator's time, in seconds."""
    if asked_s is not None:
        return Choice(asked_s, f"A trial is ended after {asked_s:g} s, as asked.")
    cells = rows * max(1, width)
    limit_s = float(min(3600, max(120, round(cells / 20_000))))
    return Choice(limit_s, f"A trial is ended after {limit_s:g} s, a rule from {rows} rows of {width} numbers.")
