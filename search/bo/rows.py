"""Configurations as rows for surrogates, and back: `Encoding` with inactive columns made neutral.

A numeric column that is not active holds 0.5, the middle of its range, and a categorical one `INACTIVE`, which is as far from
every value; both lie in the middle of what they could be, so that a row says nothing about parameters that it does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from ..design import width
from ..encoding import Encoding
from ..space import Config
from ..space.listing import LISTED

if TYPE_CHECKING:
    from torch import Tensor

    from ..space import SearchSpace
    from .structure import Structure

INACTIVE = -1.0
MIDDLE = math.nextafter(0.5, 1.0)
"""The middle by a hair, so that it can be told from the value of an active column."""


class Rows:
    """The rows of a space.

    Args:
        space: The space.

    Attributes:
        d: The number of columns.
        numeric: The columns in [0, 1], a list.
        categorical: The columns that hold an index without an order, a list.
        width: About how many columns are active at once.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.encoding = Encoding(space)
        self.d = self.encoding.d
        self.categorical = list(self.encoding.categorical_dims)
        self.numeric = [column for column in range(self.d) if column not in set(self.categorical)]
        self.width = min(width(space), max(self.d, 1))
        neutral = torch.full((self.d,), MIDDLE, dtype=torch.float64)
        neutral[self.categorical] = INACTIVE
        self._neutral = neutral

    @cached_property
    def deciding(self) -> Tensor:
        """The columns that decide whether others are active; a `d`-dim bool Tensor."""
        parents = {ref for parameter in self.space.parameters.values() for ref in parameter.above}
        out = torch.zeros(self.d, dtype=torch.bool)
        for path in parents:
            out[self.encoding.columns.get(path, [])] = True
        return out

    @cached_property
    def every(self) -> Tensor | None:
        """All configurations of a space of at most `LISTED`, equivalent ones once; a `N x d`-dim Tensor, None if larger."""
        if self.space.size() > LISTED:
            return None
        found: dict[str, Config] = {}
        for config in self.space.configurations():
            found.setdefault(self.space.config_hash(config), config)
        return self.encode(list(found.values()))

    @cached_property
    def structure(self) -> Structure:
        """What is counted in rows beyond their columns; computed once per cell."""
        from .structure import Structure

        return Structure(self)

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> Tensor:
        """Return configurations as a `n x d`-dim float64 Tensor."""
        return torch.where(self.encoding.activity(configs), self.encoding.encode(configs), self._neutral)

    def active(self, X: Tensor) -> Tensor:
        """Say which columns of a `(b) x d`-dim Tensor of rows are active, by what they hold; a bool Tensor of its shape."""
        return self._neutral != X

    def decode(self, X: Tensor) -> list[Config]:
        """Return the valid configurations nearest to a `n x d`-dim Tensor of rows."""
        return self.encoding.decode(X)

    def free(self, configs: Sequence[Mapping[str, Any]]) -> Tensor:
        """Say which columns can move continuously without a change of what is active.

        Returns:
            A `n x d`-dim bool Tensor: the numeric columns that are active and decide nothing, but for places of items.
        """
        movable = ~self.deciding
        movable[self.categorical] = False
        movable[self.encoding.place_dims] = False
        return self.encoding.activity(configs) & movable


IsNew = Callable[[Config], bool]
"""Says whether a configuration may be proposed."""
