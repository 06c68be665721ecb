"""The fidelities at which a multi-fidelity search looks, from the least to the full one. Not who gets to which."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SpecError

_NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"


@dataclass(frozen=True)
class Levels:
    """Fidelities in equal ratios, both ends among them.

    Args:
        name: What the fidelity is called, the key in `Candidate.fidelity`.
        values: At least one, ascending; the last one is the full fidelity.
    """

    name: str
    values: tuple[float, ...]

    @property
    def full(self) -> float:
        """The full fidelity."""
        return self.values[-1]

    @property
    def top(self) -> int:
        """The position of the full fidelity."""
        return len(self.values) - 1

    def value(self, fidelity: Mapping[str, float] | None) -> float:
        """Return what a candidate was given: the full fidelity where nothing is said, and never more than that.

        Raises:
            SpecError: The fidelity has another name, or is not above 0.
        """
        if not fidelity:
            return self.full
        value = fidelity.get(self.name)
        if value is None:
            given = ", ".join(repr(name) for name in fidelity)
            raise SpecError(f"The fidelity of a candidate is called {given}, expected {self.name!r}.")
        if not value > 0:
            raise SpecError(f"The fidelity {self.name!r} of a candidate is {value!r}, expected a number above 0.")
        return min(float(value), self.full)

    def position(self, value: float) -> int:
        """Return the position of the highest level that a value reaches, -1 below the first."""
        return sum(value >= level for level in self.values) - 1

    def fidelity(self, position: int) -> dict[str, float]:
        """Return the mapping that a candidate at a level carries."""
        return {self.name: self.values[position]}


def levels(name: Any, *, low: Any, high: Any, ratio: Any) -> Levels:
    """Return the levels between two fidelities, at least ``ratio`` times apart.

    Their number is the rungs of successive halving, ``floor(log_ratio(high / low)) + 1`` (Jamieson and Talwalkar, AISTATS
    2016), and they are spread evenly so that the first is ``low`` and the last ``high``; between whole ends they are whole.

    Args:
        name: What the fidelity is called.
        low: The least that says anything, above 0.
        high: The full fidelity, at least ``low``.
        ratio: Above 1.

    Raises:
        SpecError: One of them is out of range.
    """
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise SpecError(
            f"fidelity is {name!r}, expected the name of a fidelity.", hint="Write a word, such as 'epochs'."
        )
    least, most = _positive(low, "low"), _positive(high, "high")
    if most < least:
        raise SpecError(f"high is {high!r}, expected at least low, {low!r}.")
    step = _positive(ratio, "eta")
    if step <= 1.0:
        raise SpecError(f"eta is {ratio!r}, expected a number above 1.")
    if most == least:
        return Levels(name, (high,))
    count = max(1, math.floor(math.log(most / least) / math.log(step) + 1e-9))
    values = [least * (most / least) ** (k / count) for k in range(count + 1)]
    if isinstance(low, int) and isinstance(high, int):
        whole = {round(value) for value in values} | {low, high}
        return Levels(name, tuple(sorted(value for value in whole if low <= value <= high)))
    return Levels(name, (low, *values[1:-1], high))


def _positive(value: Any, option: str) -> float:
    """Return a number above 0.

    Raises:
        SpecError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise SpecError(f"{option} is {value!r}, expected a number above 0.")
    return float(value)
