"""Densities over a conditional space as mixtures of products of one-dimensional kernels: drawn from and evaluated.

Not a strategy (``tpe.py``). Each observation is one component. It draws a configuration from the top down: a parameter that
the observation has comes from a kernel around its value, one that it does not have from the prior; so each component is a
distribution over the whole tree, and its density is a product over what is active. A last component is the prior itself.
Places of a permutation's items are drawn each by itself and read as keys, so that densities of orders are up to a factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..space.cell import Cell
from ..space.configure import violated, walk
from ..space.domain import Categorical, Constant, Ordinal
from ..space.numeric import Numeric
from ..space.permutation import Permutation

if TYPE_CHECKING:
    from ..space import Config, Parameter, SearchSpace

FloatArray = NDArray[np.float64]

_TINY = 1e-300
_REJECTED = 32
_FINEST = 100.0
_PRIOR_COUNT = 2.0
"""How many observations the prior of a choice counts as: with `n`, a component redraws it with probability 2 / (2 + n).

So the many bad observations are known more sharply than the few good ones, and values that were hardly tried look promising.
"""


@dataclass(frozen=True)
class Column:
    """One coordinate of a configuration.

    Args:
        path: The parameter that it belongs to.
        edge: The edge of a cell, the item of a permutation, or None.
        prior: The probabilities of the values of a choice or an operation; None for numbers and ordinals.
        cells: For numbers, ordinals and places on a grid, how many values; None for continuous ones.
        key: Whether it is the place of an item in a permutation; numbers near places are keys that put the items in order.
    """

    path: str
    edge: str | None
    prior: FloatArray | None
    cells: int | None
    key: bool = False


class Columns:
    """The coordinates of a space: indices of choices and operations; numbers, ordinals and places of items scaled to [0, 1].

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.columns = [column for parameter in space.parameters.values() for column in _columns(parameter)]
        self.place: dict[str, list[int]] = {}
        for i, column in enumerate(self.columns):
            self.place.setdefault(column.path, []).append(i)

    def __len__(self) -> int:
        return len(self.columns)

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Return `n` configurations as a `n x d` array; NaN where a coordinate is not active."""
        out = np.full((len(configs), len(self.columns)), np.nan)
        for i, config in enumerate(configs):
            for path, value in config.items():
                if places := self.place.get(path):
                    out[i, places] = self._coordinates(path, value)
        return out

    def _coordinates(self, path: str, value: Any) -> list[float]:
        domain = self.space.parameters[path].domain
        if isinstance(domain, Cell):
            return [float(code) for code in domain.encode(value)]
        if isinstance(domain, Permutation):
            return [place / (len(domain.items) - 1) for place in domain.encode(value)]
        if isinstance(domain, Numeric | Ordinal):
            return [domain.to_unit(value)]
        return [float(domain.index(value)) if isinstance(domain, Categorical) else 0.0]

    def value(self, parameter: Parameter, point: Sequence[float]) -> Any:
        """Return the value of a parameter at coordinates, the inverse of `encode`."""
        domain = parameter.domain
        if isinstance(domain, Cell):
            return domain.decode([int(k) for k in point])
        if isinstance(domain, Permutation):
            return domain.decode(point)
        if isinstance(domain, Numeric | Ordinal):
            return domain.from_unit(point[0])
        return domain.normalize(domain.values[int(point[0])]) if isinstance(domain, Categorical) else domain.default()


def _columns(parameter: Parameter) -> list[Column]:
    domain, path = parameter.domain, parameter.path
    if isinstance(domain, Constant):
        return []
    if isinstance(domain, Cell):
        even = np.full(len(domain.operations), 1.0 / len(domain.operations))
        return [Column(path, edge, even, None) for edge in domain.edges]
    if isinstance(domain, Permutation):
        return [Column(path, item, None, len(domain.items), key=True) for item in domain.labels]
    if isinstance(domain, Numeric):
        return [Column(path, None, None, None if domain.log else domain.count)]
    if isinstance(domain, Ordinal):
        return [Column(path, None, None, len(domain.values))]
    if isinstance(domain, Categorical):
        weights = np.array(domain.weights or (1.0,) * len(domain.values))
        return [Column(path, None, weights / weights.sum(), None)]
    raise TypeError(f"{path}: there is no kernel for the type {domain.kind!r}.")


class Parzen:
    """A mixture of one component per observation and the prior.

    Args:
        columns: The coordinates of the space.
        X: The observations, `n x d`, from `Columns.encode`.
        weights: The weight of each observation, `n`, above 0; the prior has their mean, or 1 without any.
    """

    def __init__(self, columns: Columns, X: FloatArray, *, weights: FloatArray) -> None:
        self._columns = columns
        self._X = X
        total = np.append(weights, weights.mean() if len(weights) else 1.0)
        self._weights = total / total.sum()
        self._redrawn = _PRIOR_COUNT / (_PRIOR_COUNT + len(X))
        self._bandwidths = np.array([self._widths(j) for j in range(len(columns))])

    def _widths(self, j: int) -> FloatArray:
        """Return the bandwidth of every component, a share of the range, `n + 1`; of no matter where nothing is active.

        It is the larger distance to the next value below and above (Bergstra et al., NeurIPS 2011, section 4.2), the ends of
        the range included, but at least the share that one of `n` even ones had, a hundredth, and half a step of a grid.
        """
        column, out = self._columns.columns[j], np.ones(len(self._X) + 1)
        known = np.flatnonzero(~np.isnan(self._X[:, j]))
        if column.prior is not None or not len(known):
            return out
        order = known[np.argsort(self._X[known, j], kind="stable")]
        points = np.concatenate([[0.0], self._X[order, j], [1.0]])
        gaps = np.diff(points)
        widths = np.maximum(gaps[:-1], gaps[1:])
        if len(order) > 1:  # the ends of the range are no observations
            widths[0], widths[-1] = gaps[1], gaps[-2]
        least = max(1.0 / min(_FINEST, 1.0 + len(known)), _half_step(column))
        out[order] = np.clip(widths, least, 1.0)
        return out

    # --------------------------------------------------------------------------------------------------- draws

    def draw(self, count: int, rng: np.random.Generator) -> list[Config]:
        """Draw ``count`` configurations; forbidden ones are drawn again, and repaired when that does not help."""
        space = self._columns.space
        out = []
        for _ in range(count):
            for _ in range(_REJECTED if space.rules else 1):
                component = int(rng.choice(len(self._weights), p=self._weights))
                config = self._draw(component, rng)
                if violated(space, config) is None:
                    break
            out.append(space.repair(config))
        return out

    def _draw(self, component: int, rng: np.random.Generator) -> Config:
        row = self._X[component] if component < len(self._X) else None

        def choose(parameter: Parameter) -> Any:
            places = self._columns.place.get(parameter.path, ())
            if row is None or not places or np.isnan(row[places[0]]):
                return parameter.domain.sample(rng)
            return self._columns.value(parameter, [self._around(component, j, rng) for j in places])

        return walk(self._columns.space, choose)

    def _around(self, component: int, j: int, rng: np.random.Generator) -> float:
        prior, center = self._columns.columns[j].prior, float(self._X[component, j])
        if prior is not None:
            return center if rng.random() >= self._redrawn else float(rng.choice(len(prior), p=prior))
        from scipy.special import ndtr, ndtri

        width = self._bandwidths[j, component]
        low, high = (float(ndtr((end - center) / width)) for end in self._ends(j))
        point: float = center + width * float(ndtri(low + rng.random() * (high - low)))
        return point if self._columns.columns[j].key else min(max(point, 0.0), 1.0)

    def _ends(self, j: int) -> tuple[float, float]:
        """Return where a kernel is cut: half a step of the grid beyond its ends."""
        half = _half_step(self._columns.columns[j])
        return -half, 1.0 + half

    # ------------------------------------------------------------------------------------------------- density

    def log_density(self, Z: FloatArray) -> FloatArray:
        """Return the log density of `m` rows from `Columns.encode`, a `m` array.

        Numbers have densities on [0, 1] and values of grids, choices and operations probabilities; where the prior draws,
        numbers count as uniform.
        """
        logs = np.zeros((len(Z), len(self._weights)))
        for j, column in enumerate(self._columns.columns):
            active = ~np.isnan(Z[:, j])
            if not active.any():
                continue
            kernels = self._kernels(Z[active, j], j, column)
            logs[active] += np.log(np.maximum(kernels, _TINY))
        top = logs.max(axis=1, keepdims=True)
        out: FloatArray = top[:, 0] + np.log(np.exp(logs - top) @ self._weights)
        return out

    def _kernels(self, z: FloatArray, j: int, column: Column) -> FloatArray:
        """Return the kernel of every component at the active coordinates `z`; `m x (n + 1)`."""
        centers = np.append(self._X[:, j], np.nan)
        if column.prior is not None:
            base = column.prior[z.astype(np.int64)][:, None]
            kept = z[:, None] == centers[None, :]
            found = np.where(np.isnan(centers), base, self._redrawn * base + (1.0 - self._redrawn) * kept)
        else:
            found = np.where(np.isnan(centers), 1.0 / (column.cells or 1), self._normal(z, centers, j))
        return np.asarray(found, dtype=np.float64)

    def _normal(self, z: FloatArray, centers: FloatArray, j: int) -> FloatArray:
        """Return the truncated normal kernels: probabilities of the cells of a grid, else densities."""
        from scipy.special import ndtr

        width, (low, high) = self._bandwidths[j], self._ends(j)
        mass = ndtr((high - centers) / width) - ndtr((low - centers) / width)
        half = _half_step(self._columns.columns[j])
        away = (z[:, None] - centers[None, :]) / width
        if half > 0:
            found = ndtr(away + half / width) - ndtr(away - half / width)
        else:
            found = np.exp(-0.5 * away**2) / (np.sqrt(2 * np.pi) * width)
        return np.asarray(found / mass, dtype=np.float64)


def _half_step(column: Column) -> float:
    return 0.5 / (column.cells - 1) if column.cells is not None and column.cells > 1 else 0.0
