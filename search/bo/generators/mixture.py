"""The generator ``mixture``: global and local at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Observed
from .incumbents import best_rows

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ...space import Config
    from ..rows import Rows

_PARENTS = 8


class Mixture:
    """Half draws from the space's priors, half mutations of the best observations: global and local at once."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return about ``count`` rows; see `CandidateGenerator.generate`."""
        parents = rows.decode(observed.X[best_rows(observed, _PARENTS)])
        each = max(1, count // 2 // max(1, len(parents)))
        near: list[Config] = []
        for parent in parents:
            near += rows.space.neighbors(parent, rng, count=each)
        return rows.encode(near + rows.space.sample_many(max(1, count - len(near)), rng))
