"""Permutations: the order of some items. What an order does to a model is in `encoding`, not here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from .domain import Domain
from .values import ABSENT, label, show, value_key

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np

FEWEST, MOST = 2, 50
_LISTED = 6


@dataclass(frozen=True)
class Permutation(Domain):
    """An order of items; a value is the list of them, each once.

    Args:
        items: The `n` distinct items, 2 to 50 of them, in the order that is the default.
    """

    items: tuple[Any, ...]
    _index: dict[Hashable, int] = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "permutation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {value_key(item): i for i, item in enumerate(self.items)})

    def contains(self, value: Any) -> bool:
        """Accept a list with each item once."""
        if not isinstance(value, list | tuple) or len(value) != len(self.items):
            return False
        try:
            return {value_key(item) for item in value} == self._index.keys()
        except TypeError:  # something unhashable that is no JSON value
            return False

    def normalize(self, value: Sequence[Any]) -> list[Any]:
        """Return the items as they are declared, in the order of ``value``."""
        return [self.items[self._index[value_key(item)]] for item in value]

    def encode(self, value: Sequence[Any]) -> list[int]:
        """Return the place of each item in ``value``, 0 to n - 1, items in declared order."""
        places = [0] * len(self.items)
        for place, item in enumerate(value):
            places[self._index[value_key(item)]] = place
        return places

    def decode(self, keys: Sequence[float]) -> list[Any]:
        """Return the items by growing keys, which inverts `encode` and makes an order of any `n` numbers (random keys).

        Args:
            keys: One number per item in declared order; of equal ones the item that is declared first comes first.
        """
        return [self.items[k] for k in sorted(range(len(self.items)), key=lambda k: keys[k])]

    def sample(self, rng: np.random.Generator) -> list[Any]:
        """Draw an order, uniformly."""
        return [self.items[k] for k in rng.permutation(len(self.items)).tolist()]

    def mutate(self, value: Sequence[Any], rng: np.random.Generator) -> list[Any]:
        """Swap two items, move one to another place, or turn a stretch around; each kind of move is as likely."""
        first, last = sorted(rng.choice(len(self.items), size=2, replace=False).tolist())
        move = int(rng.integers(3))
        if move == 0:
            return swapped(self.normalize(value), first, last)
        if move == 1:
            return moved(self.normalize(value), *((first, last) if rng.random() < 0.5 else (last, first)))
        return turned(self.normalize(value), first, last)

    def alternatives(self, value: Sequence[Any]) -> Iterator[list[Any]]:
        """Yield all other orders by Kendall's distance up to six items, else those with two items swapped, near ones first."""
        here = self.normalize(value)
        if len(here) <= _LISTED:
            places = self.encode(here)
            others = sorted(self.every(), key=lambda other: discordant(places, self.encode(other)))
            yield from others[1:]
            return
        for gap in range(1, len(here)):
            for first in range(len(here) - gap):
                yield swapped(here, first, first + gap)

    def every(self) -> Iterator[list[Any]]:
        """Yield all orders, the declared one first."""
        return map(list, itertools.permutations(self.items))

    def size(self) -> int:
        """Return n!."""
        return math.factorial(len(self.items))

    def default(self) -> list[Any]:
        """Return the declared order."""
        return list(self.items)

    def adapt(self, value: Any) -> Any:
        """Return an order of other items as these have it: what stays keeps its order, new items follow in declared order.

        Returns:
            `ABSENT` for what is no list, or has fewer than two of the items: nothing is left of its order.
        """
        if not isinstance(value, list | tuple):
            return ABSENT
        try:
            kept = dict.fromkeys(k for item in value if (k := self._index.get(value_key(item))) is not None)
        except TypeError:
            return ABSENT
        if len(kept) < FEWEST:
            return ABSENT
        return [self.items[k] for k in (*kept, *(k for k in range(len(self.items)) if k not in kept))]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The items as they read in the name of a column."""
        return tuple(label(item) for item in self.items)

    def expected(self) -> str:
        """List the items."""
        shown = ", ".join(show(item) for item in self.items[:12])
        rest = f", ... ({len(self.items)} items)" if len(self.items) > 12 else ""
        return f"a list with each of {shown}{rest} once"

    def to_dict(self) -> dict[str, Any]:
        """Return type and items."""
        return {"type": "permutation", "items": list(self.items)}


def swapped(order: Sequence[Any], first: int, last: int) -> list[Any]:
    """Return an order with the items at two places exchanged."""
    out = list(order)
    out[first], out[last] = out[last], out[first]
    return out


def moved(order: Sequence[Any], start: int, end: int) -> list[Any]:
    """Return an order with the item at ``start`` taken out and put in at ``end``."""
    out = list(order)
    out.insert(end, out.pop(start))
    return out


def turned(order: Sequence[Any], first: int, last: int) -> list[Any]:
    """Return an order with the stretch from ``first`` to ``last``, both included, turned around."""
    out = list(order)
    out[first : last + 1] = out[first : last + 1][::-1]
    return out


def discordant(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the pairs of items that come in another order, from 0 to n (n - 1) / 2: Kendall's distance.

    Args:
        one: The place of each of `n` items, as `Permutation.encode` gives it.
        other: Likewise.
    """
    pairs = itertools.combinations(range(len(one)), 2)
    return sum((one[i] < one[j]) != (other[i] < other[j]) for i, j in pairs)
