"""What a parameter may be: the interface of all kinds, and the kinds that are a list of values. Not how they parse."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from .values import ABSENT, fresh, show, value_key

if TYPE_CHECKING:
    import numpy as np


class Domain(ABC):
    """The values of one parameter, as an immutable value.

    `kind` is the word after ``type:``; `ordered` says whether nearby values are alike.
    """

    kind: ClassVar[str]
    ordered: ClassVar[bool] = False

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Say whether ``value`` belongs to this domain."""

    @abstractmethod
    def normalize(self, value: Any) -> Any:
        """Return a contained value in the one form that stands for it (JSON, not shared with the caller)."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value from the prior (uniform without one)."""

    @abstractmethod
    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Draw another value near ``value``; the same one only when there is no other."""

    @abstractmethod
    def alternatives(self, value: Any) -> Iterator[Any]:
        """Yield other values, the nearest first; all of them in a small domain, a selection in a large one."""

    @abstractmethod
    def every(self) -> Iterator[Any]:
        """Yield all values of a domain that is not continuous."""

    @abstractmethod
    def size(self) -> int | float:
        """Count the values; ``inf`` when they are continuous."""

    @abstractmethod
    def default(self) -> Any:
        """Return the default that holds when the space gives none."""

    @abstractmethod
    def expected(self) -> str:
        """Say in words what is allowed."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the keys that declare this domain, ``type`` first."""

    def canonical(self, value: Any) -> Any:
        """Return the JSON value that stands for ``value`` in hashes; equal exactly for equivalent values."""
        return self.normalize(value)

    def canonical_dict(self) -> dict[str, Any]:
        """Return `to_dict` in a form that does not depend on an order without meaning."""
        return self.to_dict()

    def adapt(self, value: Any) -> Any:  # noqa: ARG002
        """Return what is left here of a value of an earlier version of this domain that it does not contain.

        Returns:
            `ABSENT`, unless a part of the value still says something.
        """
        return ABSENT


@dataclass(frozen=True)
class Categorical(Domain):
    """A list of values with optional weights.

    Args:
        values: The distinct values in declared order.
        weights: A positive weight per value, or None for uniform.
    """

    values: tuple[Any, ...]
    weights: tuple[float, ...] | None = None
    _index: dict[Hashable, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {value_key(value): i for i, value in enumerate(self.values)})

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` is one of the values."""
        try:
            return value_key(value) in self._index
        except TypeError:  # something unhashable that is no JSON value
            return False

    def index(self, value: Any) -> int:
        """Return the position of a contained value."""
        return self._index[value_key(value)]

    def normalize(self, value: Any) -> Any:
        """Return the declared value that equals ``value``."""
        return fresh(self.values[self.index(value)])

    @cached_property
    def _cumulative(self) -> list[float]:
        weights = self.weights or (1.0,) * len(self.values)
        total, so_far, out = sum(weights), 0.0, []
        for weight in weights:
            so_far += weight / total
            out.append(so_far)
        return out

    def quantile(self, u: float) -> Any:
        """Return the value at ``u`` in [0, 1) of the prior's distribution."""
        count = len(self.values)
        position = int(u * count) if self.weights is None else bisect.bisect_right(self._cumulative, u)
        return fresh(self.values[min(position, count - 1)])

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value by weight."""
        return self.quantile(rng.random())

    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Draw one of the other values by weight."""
        position, count = self.index(value), len(self.values)
        if count == 1:
            return fresh(value)
        if self.weights is None:
            other = int(rng.random() * (count - 1))
            return fresh(self.values[other + (other >= position)])
        rest = type(self)(
            self.values[:position] + self.values[position + 1 :],
            self.weights[:position] + self.weights[position + 1 :],
        )
        return rest.sample(rng)

    def alternatives(self, value: Any) -> Iterator[Any]:
        """Yield the other values in declared order."""
        position = self.index(value)
        for i, other in enumerate(self.values):
            if i != position:
                yield fresh(other)

    def every(self) -> Iterator[Any]:
        """Yield the values in declared order."""
        return map(fresh, self.values)

    def size(self) -> int:
        """Count the values."""
        return len(self.values)

    def default(self) -> Any:
        """Return the value with the largest weight, the first of equals."""
        if self.weights is None:
            return fresh(self.values[0])
        return fresh(self.values[max(range(len(self.values)), key=lambda i: (self.weights or ())[i])])

    def expected(self) -> str:
        """List the values."""
        shown = ", ".join(show(value) for value in self.values[:12])
        return f"one of {shown}" + (f", ... ({len(self.values)} values)" if len(self.values) > 12 else "")

    def to_dict(self) -> dict[str, Any]:
        """Return type, range and weights."""
        spec: dict[str, Any] = {"type": self.kind, "range": [fresh(value) for value in self.values]}
        return spec if self.weights is None else spec | {"weights": list(self.weights)}


@dataclass(frozen=True)
class Choice(Categorical):
    """Values without an order."""

    kind: ClassVar[str] = "choice"

    def canonical_dict(self) -> dict[str, Any]:
        """Return the values sorted, since a choice is a set."""
        order = sorted(range(len(self.values)), key=lambda i: repr(value_key(self.values[i])))
        spec: dict[str, Any] = {"type": self.kind, "range": [_plain_number(self.values[i]) for i in order]}
        return spec if self.weights is None else spec | {"weights": [self.weights[i] for i in order]}


@dataclass(frozen=True)
class Ordinal(Categorical):
    """Values in order, from low to high."""

    kind: ClassVar[str] = "ordinal"
    ordered: ClassVar[bool] = True

    def to_unit(self, value: Any) -> float:
        """Return the position of ``value``, scaled to [0, 1]."""
        return self.index(value) / (len(self.values) - 1) if len(self.values) > 1 else 0.0

    def from_unit(self, unit: float) -> Any:
        """Return the value nearest to ``unit`` in [0, 1]."""
        last = len(self.values) - 1
        return fresh(self.values[min(max(round(unit * last), 0), last)])

    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Step to a neighbour, mostly by one."""
        position, last = self.index(value), len(self.values) - 1
        if last == 0:
            return fresh(value)
        step = 1 + int(abs(rng.standard_normal()) * 0.1 * last)
        up = rng.random() < 0.5 if 0 < position < last else position == 0
        return fresh(self.values[min(position + step, last) if up else max(position - step, 0)])

    def alternatives(self, value: Any) -> Iterator[Any]:
        """Yield the other values by distance."""
        position = self.index(value)
        for i in sorted(range(len(self.values)), key=lambda i: (abs(i - position), i))[1:]:
            yield fresh(self.values[i])

    def default(self) -> Any:
        """Return the value with the largest weight, or the middle one."""
        return super().default() if self.weights else fresh(self.values[(len(self.values) - 1) // 2])

    def canonical_dict(self) -> dict[str, Any]:
        """Return the values in order, each number in one form."""
        return self.to_dict() | {"range": [_plain_number(value) for value in self.values]}


@dataclass(frozen=True)
class Bool(Categorical):
    """False or true."""

    kind: ClassVar[str] = "bool"
    values: tuple[Any, ...] = (False, True)

    def to_dict(self) -> dict[str, Any]:
        """Return type and weights."""
        return {"type": "bool"} if self.weights is None else {"type": "bool", "weights": list(self.weights)}


@dataclass(frozen=True)
class Constant(Categorical):
    """One value, carried along with every configuration."""

    kind: ClassVar[str] = "constant"

    @property
    def value(self) -> Any:
        """The value."""
        return self.values[0]

    def to_dict(self) -> dict[str, Any]:
        """Return type and value."""
        return {"type": "constant", "value": fresh(self.value)}


def _plain_number(value: Any) -> Any:
    """Return ``64.0`` as ``64``, so that both hash alike."""
    return int(value) if isinstance(value, float) and value.is_integer() else fresh(value)
