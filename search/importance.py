"""Which parameters matter: functional ANOVA over conditional spaces, exact on the leaves of a random forest.

Hutter, Hoos and Leyton-Brown (ICML 2014): fit a forest to the observations; each tree is constant on boxes, so its mean
given some parameters, and with it the share of its variance that they explain, are sums over boxes; the trees' spread
says how sure one can be. They need independent parameters. Here activity makes them dependent, so each is judged where
it is active:

    main(i)    = P(i active) Var(E[f | i] | i active) / Var(f)
    pair(i, j) = P(both active) Var(what E[f | i, j] adds to E[f | i] + E[f | j] | both active) / Var(f)

Where all are always active this is the paper's. In a tree-shaped space all main, pair and higher shares add up to 1:
what a choice's branches do on average is the choice's share, what happens inside a branch is the branch's parameters',
weighted by how often the branch is taken. Expectations are over the uniform distribution on the conditional space
(``conditional_measure.py``), not over the observations, which a search concentrates where it is good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import UnknownNameError
from .conditional_measure import ConditionalMeasure, Dimension
from .encoding import Encoding
from .leaf_anova import Forest, decompose
from .space import SearchSpace
from .space.numeric import Numeric

Array = npt.NDArray[Any]
K = TypeVar("K")

MIN_OBSERVATIONS = 8
PAIRED = 12  # pairs are looked at among this many columns, those on which the forest relies most
GRID = 33  # points of a curve over a continuous parameter
WEAK_R2 = 0.3


@dataclass(frozen=True)
class Curve:
    """The mean of the metric at values of one parameter, over all else, where it is active.

    Args:
        path: The parameter.
        values: Its values: all of a short list, else a grid from low to high.
        mean: The mean of the metric at each value, over the trees.
        std: Its standard deviation over the trees.
        ordered: Whether the values have an order, so that a line may join them.
        active: The share of the space in which the parameter is active.
    """

    path: str
    values: tuple[Any, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ordered: bool
    active: float


@dataclass(frozen=True)
class Importance:
    """How much of a metric's variance over the space each parameter explains.

    Args:
        main: The share of each parameter alone, in [0, 1], the largest first. Empty if ``note`` says why.
        std: The standard deviation of each over the trees.
        pairs: The further share of pairs, the largest first; of the parameters on which the forest relies most.
        pairs_std: The standard deviation of each over the trees.
        active: The share of the space in which each parameter is active.
        curves: What `marginal` returns; no cells and permutations.
        r2: How well the forest predicts observations that it has not seen (out of bag): 1 is perfect, 0 is useless.
        note: What to be careful about, in a sentence; None if nothing is.
        n: The observations that were used.
    """

    main: Mapping[str, float]
    std: Mapping[str, float] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    pairs_std: Mapping[tuple[str, str], float] = field(default_factory=dict)
    active: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    r2: float | None = None
    note: str | None = None
    n: int = 0

    @property
    def enough(self) -> bool:
        """Whether there was enough to say anything."""
        return bool(self.main)

    @cached_property
    def grouped(self) -> dict[str, float]:
        """The shares of all instances of a declaration together (``block[0].x`` and ``block[1].x``), largest first.

        Pairs among the instances of one declaration count, too.
        """
        total: dict[str, float] = {}
        for path, share in self.main.items():
            total[self.templates[path]] = total.get(self.templates[path], 0.0) + share
        for (one, other), share in self.pairs.items():
            if self.templates[one] == self.templates[other]:
                total[self.templates[one]] += share
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def marginal(self, path: str) -> Curve:
        """Return the curve of one parameter, for a plot.

        Raises:
            UnknownNameError: There is none: no such parameter, a cell, a permutation, or one on which nothing depends.
        """
        if path not in self.curves:
            raise UnknownNameError("parameter with a curve", path, self.curves)
        return self.curves[path]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "main": dict(self.main),
            "std": dict(self.std),
            "pairs": [[*pair, share, self.pairs_std[pair]] for pair, share in self.pairs.items()],
            "grouped": self.grouped,
            "active": dict(self.active),
            "curves": {path: {**vars(curve), "values": list(curve.values)} for path, curve in self.curves.items()},
            "r2": self.r2,
            "note": self.note,
            "n": self.n,
        }


def importance(
    space: SearchSpace,
    configs: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    *,
    seed: int = 0,
    n_trees: int = 64,
) -> Importance:
    """Say which parameters of a space matter for a metric.

    Args:
        space: The space.
        configs: `n` configurations of it.
        values: The metric of each; what is not finite is left out.
        seed: Of the forest.
        n_trees: Trees in the forest.

    Returns:
        The shares, with ``enough`` false and a ``note`` where there are fewer than 8 observations or all are equal.

    Raises:
        ValueError: ``configs`` and ``values`` differ in length.
        SpaceError: A configuration does not belong to the space.
    """
    if len(configs) != len(values):
        raise ValueError(f"{len(configs)} configurations have {len(values)} values; expected one each")
    y = np.asarray(values, dtype=np.float64)
    seen = np.flatnonzero(np.isfinite(y))
    y = y[seen]
    if len(y) < MIN_OBSERVATIONS:
        note = f"Not enough observations: importance needs {MIN_OBSERVATIONS}, there are {len(y)}."
        return Importance({}, note=note, n=len(y))
    if float(np.ptp(y)) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return Importance({}, note=f"The metric is the same in all {len(y)} observations.", n=len(y))
    encoding = Encoding(space)
    X = encoding.encode([configs[int(i)] for i in seen]).numpy()
    if encoding.d == 0:
        return Importance({}, note="The space has no parameter that can vary.", n=len(y))
    forest = Forest(X, y, seed=seed, n_trees=n_trees)
    columns = range(encoding.d) if encoding.d <= 256 else forest.used
    measure = ConditionalMeasure(space, encoding, columns=columns, seed=seed)
    return _summary(space, measure, forest, n=len(y))


def _summary(space: SearchSpace, measure: ConditionalMeasure, forest: Forest, *, n: int) -> Importance:
    """Decompose every tree and average the shares."""
    dims = {i: dim for i, dim in enumerate(measure.dimensions) if dim.column is not None}
    paired = sorted(dims, key=lambda i: -forest.reliance[dims[i].column])[:PAIRED]
    grids = {i: _grid(space, dim) for i, dim in dims.items()}
    mains: list[dict[str, float]] = []
    pairs: list[dict[tuple[str, str], float]] = []
    curves: dict[str, list[Array]] = {dims[i].path: [] for i in grids}
    active = {dim.path: float(measure.active[i]) for i, dim in dims.items()}
    for tree in decompose(measure, list(forest.trees()), paired=paired):
        for i, dim in dims.items():
            curves[dim.path].append(tree.at(i, grids[i][1]))
        if tree.variance > 0.0:
            main, pair = _by_path(dims, {i: tree.main(i) for i in dims}, tree.pairs())
            mains.append(main)
            pairs.append(pair)
    if not mains:
        return Importance({}, note="The forest found no difference between the observations.", r2=forest.r2, n=n)
    main, std = _averages(mains)
    pair, pair_std = _averages(pairs)
    return Importance(
        main=main,
        std=std,
        pairs=pair,
        pairs_std=pair_std,
        active=active,
        curves={
            dim.path: _curve(space, dim.path, grids[i][0], curves[dim.path], active[dim.path])
            for i, dim in dims.items()
            if space.parameters[dim.path].kind not in ("cell", "permutation")
        },
        templates={path: space.parameters[path].template for path in main},
        r2=forest.r2,
        note=_note(forest.r2, measure),
        n=n,
    )


def _by_path(
    dims: Mapping[int, Dimension], main: Mapping[int, float], pairs: Mapping[tuple[int, int], float]
) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Return shares by parameter: those of a cell's edges and of a permutation's places together, pairs among them included."""
    alone: dict[str, float] = {}
    both: dict[tuple[str, str], float] = {}
    for i, share in main.items():
        alone[dims[i].path] = alone.get(dims[i].path, 0.0) + share
    for (i, j), share in pairs.items():
        one, other = dims[i].path, dims[j].path
        if one == other:
            alone[one] += share
        else:
            both[one, other] = both.get((one, other), 0.0) + share
    return alone, both


def _averages(shares: Sequence[Mapping[K, float]]) -> tuple[dict[K, float], dict[K, float]]:
    """Return mean and standard deviation over the trees, the largest mean first."""
    table = {key: np.array([share[key] for share in shares]) for key in shares[0]}
    keys = sorted(table, key=lambda key: -float(table[key].mean()))
    return {key: float(table[key].mean()) for key in keys}, {key: float(table[key].std()) for key in keys}


def _grid(space: SearchSpace, dim: Dimension) -> tuple[tuple[Any, ...], Array]:
    """Return the values of a curve and where they lie on the encoded axis."""
    domain = space.parameters[dim.path].domain
    if dim.values is not None and dim.points is not None:
        if len(dim.values) <= 2 * GRID or not isinstance(domain, Numeric):
            return dim.values, dim.points
        kept = np.unique(np.linspace(0, len(dim.values) - 1, GRID).round().astype(int))
        return tuple(dim.values[k] for k in kept), dim.points[kept]
    if not isinstance(domain, Numeric):
        return (), np.empty(0)
    points = np.linspace(0.0, 1.0, GRID)
    return tuple(domain.from_unit(float(point)) for point in points), points


def _curve(space: SearchSpace, path: str, values: tuple[Any, ...], means: Sequence[Array], active: float) -> Curve:
    table = np.array(means)
    mean, std = tuple(table.mean(axis=0).tolist()), tuple(table.std(axis=0).tolist())
    return Curve(path, values, mean, std, ordered=space.parameters[path].domain.ordered, active=active)


def _note(r2: float | None, measure: ConditionalMeasure) -> str | None:
    notes = []
    if r2 is None or not math.isfinite(r2) or r2 < WEAK_R2:
        shown = "unknown" if r2 is None else f"{r2:.2f}"
        notes.append(f"The forest predicts unseen observations poorly (R2 {shown}): more observations are needed.")
    if measure.sampled:
        notes.append("The conditions entangle many parameters: their combinations were sampled.")
    return " ".join(notes) or None
