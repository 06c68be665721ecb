"""Integers and floats: ranges with log scale, step and prior. All arithmetic on one scale: `Numeric.warp`."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar

from .domain import Domain
from .values import plain_number, show

if TYPE_CHECKING:
    import numpy as np

DIGITS = 12
"""Digits that drawn and decoded floats keep, so that encoding and decoding one gives it back exactly."""

_MUTATION_STD = 0.2


@dataclass(frozen=True)
class Normal:
    """A normal prior, cut at the ends of the range.

    Args:
        mean: In the parameter's own unit, inside the range.
        std: In the parameter's own unit; on a log scale, in powers of ten.
    """

    mean: float
    std: float


@dataclass(frozen=True)
class Numeric(Domain):
    """A range of numbers.

    Args:
        low: The lowest value.
        high: The highest value; the last one is ``low + k * step`` at most ``high``.
        log: Whether equal ratios are equally likely; ``low`` is then positive.
        step: The distance between neighbours, or None for a continuous range.
        prior: Where good values are expected.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    prior: Normal | None = None

    ordered: ClassVar[bool] = True

    @abstractmethod
    def cast(self, value: float) -> float:
        """Return a number inside the range in the kind's own type and precision."""

    @cached_property
    def count(self) -> int | None:
        """The number of grid points, None when continuous."""
        if self.step is None:
            return None if self.high > self.low else 1
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    @cached_property
    def last(self) -> float:
        """The highest value that can be reached."""
        return self.high if self.count is None else self.point(self.count - 1)

    def point(self, k: int) -> float:
        """Return the grid point ``k``, from 0."""
        return min(self.cast(self.low + k * (self.step or 0)), self.high) if k else self.low

    def position(self, value: float) -> int:
        """Return the index of the grid point nearest to ``value``."""
        if self.step is None or self.count is None:
            return 0
        return min(max(round((value - self.low) / self.step), 0), self.count - 1)

    def warp(self, value: float) -> float:
        """Return ``value`` on the scale where the range is even: log10 or itself."""
        return math.log10(value) if self.log else value

    def unwarp(self, position: float) -> float:
        """Invert `warp`."""
        return 10.0**position if self.log else position

    def snap(self, value: float) -> float:
        """Return the value of this domain that is nearest to ``value``."""
        if self.count is None:
            return min(max(self.cast(value), self.low), self.high)
        return self.point(self.position(value))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The warped ends of the distribution; a grid's outer points get whole cells."""
        if self.count is None or self.step is None:
            return self.warp(self.low), self.warp(self.high)
        below = min(self.step, self.low) / 2 if self.log else self.step / 2
        return self.warp(self.low - below), self.warp(self.last + self.step / 2)

    @cached_property
    def _cut(self) -> tuple[NormalDist, float, float]:
        prior = self.prior or Normal(0.0, 1.0)
        curve = NormalDist(self.warp(prior.mean), prior.std)
        return curve, curve.cdf(self._ends[0]), curve.cdf(self._ends[1])

    def quantile(self, u: float) -> float:
        """Return the value at ``u`` in [0, 1) of the prior's distribution (uniform on the warped scale without one)."""
        if self.prior is not None:
            curve, below, above = self._cut
            mass = min(max(below + u * (above - below), 1e-300), 1 - 1e-16)
            return self.snap(self.unwarp(min(max(curve.inv_cdf(mass), self._ends[0]), self._ends[1])))
        if self.count is not None and not self.log:
            return self.point(min(int(u * self.count), self.count - 1))
        start, end = self._ends
        return self.snap(self.unwarp(start + u * (end - start)))

    def sample(self, rng: np.random.Generator) -> float:
        """Draw from the prior."""
        return self.quantile(rng.random())

    def to_unit(self, value: float) -> float:
        """Return ``value`` scaled to [0, 1] on the warped scale; the prior plays no part."""
        start, end = self.warp(self.low), self.warp(self.last)
        return (self.warp(value) - start) / (end - start) if end > start else 0.0

    def from_unit(self, unit: float) -> float:
        """Return the value nearest to ``unit`` in [0, 1]; the inverse of `to_unit`."""
        start, end = self.warp(self.low), self.warp(self.last)
        return self.snap(self.unwarp(start + min(max(unit, 0.0), 1.0) * (end - start)))

    def mutate(self, value: float, rng: np.random.Generator) -> float:
        """Draw a normal step of 0.2 of the warped range."""
        if self.count == 1:
            return value
        unit = self.to_unit(value)
        for _ in range(16):
            moved = unit + _MUTATION_STD * rng.standard_normal()
            if 0.0 <= moved <= 1.0 and (other := self.from_unit(moved)) != value:
                return other
        return next(self.alternatives(value))

    def alternatives(self, value: float) -> Iterator[float]:
        """Yield a grid's points by distance (64 at most), or 33 points of a continuous range."""
        if self.count is None:
            unit = self.to_unit(value)
            points = [self.from_unit(k / 32) for k in range(33)]
            yield from (p for p in sorted(points, key=lambda p: abs(self.to_unit(p) - unit)) if p != value)
            return
        here = self.position(value)
        near = [k for d in range(1, 33) for k in (here + d, here - d) if 0 <= k < self.count]
        yield from (self.point(k) for k in near)
        yield from (self.point(k) for k in (0, self.count - 1) if k != here and k not in near)

    def every(self) -> Iterator[float]:
        """Yield the grid points from low to high; none of a continuous range."""
        return map(self.point, range(self.count or 0))

    def size(self) -> int | float:
        """Count the values; ``inf`` when continuous."""
        return math.inf if self.count is None else self.count

    def default(self) -> float:
        """Return the prior's mean, or the middle of the range on its scale."""
        return self.snap(self.prior.mean) if self.prior else self.from_unit(0.5)

    def expected(self) -> str:
        """Name kind, range, scale and step."""
        noun = "an integer" if self.kind == "int" else "a number"
        step = "" if self.step is None or (self.kind == "int" and self.step == 1) else f" in steps of {show(self.step)}"
        return f"{noun} from {show(self.low)} to {show(self.high)}{step}"

    def to_dict(self) -> dict[str, Any]:
        """Return type, range, log, step and prior, each only where it is not the usual one."""
        spec: dict[str, Any] = {"type": self.kind, "range": [self.low, self.high]}
        if self.log:
            spec["log"] = True
        if self.step is not None and not (self.kind == "int" and self.step == 1):
            spec["step"] = self.step
        if self.prior is not None:
            spec["prior"] = {"normal": {"mean": self.prior.mean, "std": self.prior.std}}
        return spec


@dataclass(frozen=True)
class Integer(Numeric):
    """A range of integers; the step is 1 unless given."""

    kind: ClassVar[str] = "int"
    step: float | None = 1

    def cast(self, value: float) -> int:
        """Round."""
        return round(value)

    def contains(self, value: Any) -> bool:
        """Accept integers on the grid, not booleans."""
        number = plain_number(value)
        if not isinstance(number, int) or not self.low <= number <= self.high:
            return False
        return (number - int(self.low)) % int(self.step or 1) == 0

    def normalize(self, value: Any) -> int:
        """Return a plain int."""
        return int(value)


@dataclass(frozen=True)
class Float(Numeric):
    """A range of floats."""

    kind: ClassVar[str] = "float"

    @cached_property
    def _decimals(self) -> int:
        # log scale: a share of the value is what counts; linear: a share of the range
        return DIGITS - math.ceil(math.log10(self.high - self.low)) if self.high > self.low else DIGITS

    def cast(self, value: float) -> float:
        """Round to 12 digits, of the value on a log scale or of the range on a linear one."""
        return float(f"{value:.{DIGITS}g}") if self.log else round(float(value), self._decimals)

    def contains(self, value: Any) -> bool:
        """Accept finite numbers in the range and on the grid, not booleans."""
        number = plain_number(value)
        if number is None or not self.low <= number <= self.high:
            return False
        return self.step is None or abs(number - self.point(self.position(number))) <= 1e-5 * self.step

    def normalize(self, value: Any) -> float:
        """Return a plain float, on the grid where there is one."""
        return float(value) if self.count is None else float(self.snap(float(value)))
