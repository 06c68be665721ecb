"""Space-filling designs over conditional spaces: scrambled Sobol points, read through the parameters' priors.

Branches that exclude each other share coordinates, so that the points have as few dimensions as a configuration can have
parameters: a design of a space with seven branches of six parameters has seven dimensions, not forty-three.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .space import Config, Parameter
from .space.cell import Cell
from .space.configure import walk
from .space.domain import Categorical, Constant
from .space.numeric import Numeric
from .space.permutation import Permutation
from .space.values import ABSENT, value_key

if TYPE_CHECKING:
    import numpy as np
    from scipy.stats import qmc

    from .space import SearchSpace

MAX_WIDTH = 21_201
"""The dimensions of scipy's direction numbers; later coordinates start over."""


def coordinates(space: SearchSpace) -> dict[str, int]:
    """Return the first coordinate of each parameter by path; parameters of branches that exclude each other share them."""
    children: dict[str | None, list[Parameter]] = {}
    for parameter in space.parameters.values():
        children.setdefault(parameter.parent, []).append(parameter)
    out: dict[str, int] = {}

    def place(parent: str | None, start: int) -> int:
        branches: dict[Hashable, int] = {}
        end = start
        for parameter in children.get(parent, ()):
            excludes = parameter.branch is not ABSENT
            branch = value_key(parameter.branch) if excludes else None
            here = branches.get(branch, start) if excludes else end
            out[parameter.path] = here
            branches[branch] = place(parameter.path, here + _width(parameter))
            end = max(end, branches[branch])
        return end

    place(None, 0)
    return out


def _width(parameter: Parameter) -> int:
    if isinstance(parameter.domain, Constant):
        return 0
    if isinstance(parameter.domain, Permutation):
        return len(parameter.domain.items)
    return len(parameter.domain.edges) if isinstance(parameter.domain, Cell) else 1


def width(space: SearchSpace) -> int:
    """Return the number of coordinates: about as many as a configuration can have varying parameters, at least 1."""
    start = coordinates(space)
    return max([start[path] + _width(parameter) for path, parameter in space.parameters.items()], default=1) or 1


class SobolDesign:
    """A scrambled Sobol sequence of configurations (Owen's scrambling through `scipy.stats.qmc`).

    Args:
        space: Where the points lie; forbidden ones give way to the nearest allowed configurations.
        seed: Of the scrambling.
    """

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._start = coordinates(space)
        self._width = min(width(space), MAX_WIDTH)
        self._engine: qmc.Sobol | None = None
        self._next = 0

    def config(self, position: int) -> Config:
        """Return the point at a position of the sequence, from 0; it may repeat an earlier one in a discrete space."""
        row = self._row(position)

        def choose(parameter: Parameter) -> Any:
            start = self._start[parameter.path]
            return _value(parameter, [row[(start + i) % self._width] for i in range(_width(parameter))])

        return self._space.repair(walk(self._space, choose))

    def _row(self, position: int) -> list[float]:
        if self._engine is None or position != self._next:
            import numpy as np
            from scipy.stats import qmc

            self._engine = qmc.Sobol(self._width, scramble=True, rng=np.random.default_rng(self._seed))
            if position:
                self._engine.fast_forward(position)
        self._next = position + 1
        point: np.ndarray[Any, Any] = self._engine.random(1)[0]
        return [float(value) for value in point]


def _value(parameter: Parameter, row: list[float]) -> Any:
    domain = parameter.domain
    if isinstance(domain, Cell):
        count = len(domain.operations)
        return domain.decode([min(int(u * count), count - 1) for u in row])
    if isinstance(domain, Permutation):
        return domain.decode(row)
    if isinstance(domain, Constant):
        return domain.default()
    if isinstance(domain, Numeric | Categorical):
        return domain.quantile(min(row[0], 1.0 - 1e-16))
    raise TypeError(f"{parameter.path}: a design has no values for the type {domain.kind!r}.")
