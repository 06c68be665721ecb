"""The uniform distribution over a conditional space, and exact probabilities of boxes of its encoded columns under it.

Each parameter has a value of its own, uniform on its scale and independent of all others; the parameters above it say
whether it is active, and the column of one that is not holds its default, as in `Encoding`. So the columns are not
independent, but they are along the tree of conditions: a probability is a product over the children of a node for each
*case* of the node's value (values with which the same children are active), and a sum over the cases. One pass up gives
what lies below each node, one pass down what lies outside of it (the inside-outside algorithm, Baker 1979).

A condition on several parameters is no tree. The parameters that it reads, but for the one that the node is put under,
are then fixed to their cases in turn, all combinations (*patterns*) side by side; where these are too many, to a seeded
sample of them. Priors and ``forbid`` rules are left out: what is measured is the space, not what was expected of it. The
places of a permutation's items count as independent of each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .space import Parameter, SearchSpace
from .space.cell import Cell
from .space.conditions import Test
from .space.domain import Categorical, Ordinal
from .space.numeric import Numeric
from .space.permutation import Permutation
from .space.values import ABSENT, value_key

if TYPE_CHECKING:
    from .encoding import Encoding

Array = npt.NDArray[Any]

MAX_POINTS = 1_024
MAX_PATTERNS = 256


@dataclass(frozen=True)
class Dimension:
    """One encoded column with its distribution and what its activity hangs on; or a constant, which has no column.

    Args:
        path: The parameter that it belongs to.
        column: Its column, None for a constant and for the root.
        values: Its distinct values, or None if they are too many or continuous.
        points: Where these lie on the encoded axis, ascending; None like ``values``.
        weights: Their probabilities.
        imputed: What the column holds where it is not active.
        cuts: The ends of its cases on the encoded axis, ``c + 1``: case ``k`` is ``(cuts[k], cuts[k + 1]]``.
        cases: A value of each case, ``c``.
        parent: The dimension that decides about it; 0 is the root, which is always active.
        active: For each pattern and each case of the parent whether it is active, bool ``s x c_parent``.
        chosen: For each pattern the case that it is fixed to, int ``s``; None if it is not fixed.
    """

    path: str
    column: int | None
    values: tuple[Any, ...] | None
    points: Array | None
    weights: Array | None
    imputed: float
    cuts: Array
    cases: tuple[Any, ...]
    parent: int
    active: Array
    chosen: Array | None = None

    def cumulative(self, at: Array) -> Array:
        """Return the probability of values up to ``at``, an array of any shape."""
        if self.points is None or self.weights is None:
            return np.clip(at, 0.0, 1.0)
        steps = np.concatenate([[0.0], np.cumsum(self.weights)])
        found: Array = steps[np.searchsorted(self.points, at, side="right")]
        return found

    def case_of(self, at: Array) -> Array:
        """Return the case of each encoded value."""
        return np.clip(np.searchsorted(self.cuts, at, side="left") - 1, 0, len(self.cases) - 1)


@dataclass(frozen=True)
class Passes:
    """What the two passes found for ``l`` boxes and ``s`` patterns; all arrays broadcast to ``s x l (x c)``.

    Args:
        inside: For each dimension and case, the probability that what lies below it fits the box.
        outside: For each dimension, the probability that it is active and all that is not below it fits.
        total: The probability of each box, ``l``.
    """

    inside: tuple[Array, ...]
    outside: tuple[Array, ...]
    total: Array


class ConditionalMeasure:
    """The uniform distribution over a conditional space.

    Args:
        space: The space.
        encoding: Its encoding.
        columns: Columns that matter; dimensions that neither are one nor decide about one are left out.
        seed: Of the sample of patterns, if there are too many.
    """

    def __init__(self, space: SearchSpace, encoding: Encoding, *, columns: Sequence[int], seed: int = 0) -> None:
        kept = _needed(space, encoding, columns)
        parents = {path: _tree_parent(parameter, kept) for path, parameter in kept.items()}
        fixed = _fixed(kept, parents)
        gates = {path for path in parents.values() if path} | fixed
        plain = [_root(), *(dim for p in kept.values() for dim in _dimensions(p, encoding, gates=gates, kept=kept))]
        at = {dim.path: i for i, dim in enumerate(plain)}
        patterns, self.sampled, self.pattern_weights = _patterns(
            [plain[at[path]] for path in kept if path in fixed], seed
        )
        chosen = dict(zip([path for path in kept if path in fixed], patterns.T, strict=True))
        configs = _pattern_configs(kept, {path: plain[at[path]] for path in fixed}, chosen, count=len(patterns))
        self.dimensions = [plain[0]]
        for dim in plain[1:]:
            parent = plain[at.get(parents[dim.path] or "", 0)]
            active = _active(kept[dim.path], parent, configs)
            self.dimensions.append(
                replace(dim, parent=at.get(parent.path, 0), active=active, chosen=chosen.get(dim.path))
            )

    @cached_property
    def children(self) -> list[list[int]]:
        """The dimensions below each one."""
        below: list[list[int]] = [[] for _ in self.dimensions]
        for i, dim in enumerate(self.dimensions[1:], start=1):
            below[dim.parent].append(i)
        return below

    @cached_property
    def active(self) -> Array:
        """The probability that each dimension is active."""
        width = 1 + max((dim.column for dim in self.dimensions if dim.column is not None), default=-1)
        low, high = np.full((1, width), -np.inf), np.full((1, width), np.inf)
        masses = self.masses(low, high)
        outside = self.passes(low, high, masses=masses).outside
        return np.array([float((out * mass.sum(axis=-1)).sum()) for out, mass in zip(outside, masses, strict=True)])

    def masses(self, low: Array, high: Array) -> list[Array]:
        """Return the probability of each case of each dimension inside boxes; ``s x l x c`` or ``1 x l x c`` each.

        Args:
            low: The boxes' open lower ends, ``l x d`` by encoded column.
            high: Their closed upper ends, ``l x d``.
        """
        return [self._mass(dim, low, high) for dim in self.dimensions]

    def _mass(self, dim: Dimension, low: Array, high: Array) -> Array:
        if dim.column is None:
            return np.ones((1, len(low), 1))
        start = np.maximum(low[:, dim.column, None], dim.cuts[:-1])
        stop = np.minimum(high[:, dim.column, None], dim.cuts[1:])
        mass = np.where(stop > start, dim.cumulative(stop) - dim.cumulative(start), 0.0)[None]
        return mass if dim.chosen is None else mass * self.allowed(dim)[:, None, :]

    def allowed(self, dim: Dimension) -> Array:
        """Return which cases of a dimension each pattern has, bool ``s x c`` (``1 x c`` if it is not fixed)."""
        if dim.chosen is None:
            return np.ones((1, len(dim.cases)), dtype=bool)
        return np.asarray(dim.chosen[:, None] == np.arange(len(dim.cases)))

    def passes(self, low: Array, high: Array, *, masses: Sequence[Array], clamp: int | None = None) -> Passes:
        """Run the pass up and the pass down.

        Args:
            low: The boxes' open lower ends, ``l x d``.
            high: Their closed upper ends, ``l x d``.
            masses: What `masses` gave for the boxes.
            clamp: A dimension to leave out, with all below it: it must be active and nothing is asked of its value.
        """
        count = len(self.dimensions)
        inside: list[Array] = [np.ones((1, 1, 1))] * count
        fits: list[Array] = [np.ones((1, 1))] * count  # it is active: its value and all below it fit
        idle: list[Array] = [np.ones((1, 1))] * count  # it is not: its default and the defaults below it fit
        for i in reversed(range(count)):
            dim, below = self.dimensions[i], self.children[i]
            for k in below:
                inside[i] = inside[i] * self._factor(k, fits[k], idle[k])
            if i == clamp:
                idle[i] = np.zeros((1, 1))
                continue
            fits[i] = (masses[i] * inside[i]).sum(axis=-1)
            if dim.column is not None:
                idle[i] = ((low[:, dim.column] < dim.imputed) & (dim.imputed <= high[:, dim.column]))[None].astype(
                    float
                )
            for k in below:
                idle[i] = idle[i] * idle[k]
        outside = self._downward(masses, fits, idle)
        total = (self.pattern_weights[:, None] * fits[0]).sum(axis=0)
        return Passes(tuple(inside), tuple(outside), np.broadcast_to(total, (len(low),)))

    def _factor(self, k: int, fits: Array, idle: Array) -> Array:
        """Return what a child contributes in each case of its parent."""
        return np.where(self.dimensions[k].active[:, None, :], fits[..., None], idle[..., None])

    def _downward(self, masses: Sequence[Array], fits: Sequence[Array], idle: Sequence[Array]) -> list[Array]:
        outside: list[Array] = [self.pattern_weights[:, None]] * len(self.dimensions)
        for i, below in enumerate(self.children):
            factors = [self._factor(k, fits[k], idle[k]) for k in below]
            after: list[Array] = [np.ones((1, 1, 1))]
            for factor in reversed(factors[1:]):
                after.append(after[-1] * factor)
            before = outside[i][..., None] * masses[i]
            for k, factor in zip(below, factors, strict=True):
                here = before * after.pop() * self.dimensions[k].active[:, None, :]
                outside[k] = here.sum(axis=-1)
                before = before * factor
        return outside


def _root() -> Dimension:
    return Dimension(
        "", None, None, None, None, 0.0, np.array([-np.inf, np.inf]), (None,), 0, np.ones((1, 1), dtype=bool)
    )


def _needed(space: SearchSpace, encoding: Encoding, columns: Sequence[int]) -> dict[str, Parameter]:
    """Return the parameters that have one of the columns and all that decide about them, in the space's order."""
    wanted = set(columns)
    needed: set[str] = set()
    for path, parameter in reversed(list(space.parameters.items())):
        if path in needed or wanted & set(encoding.columns.get(path, ())):
            needed |= {path, *parameter.above}
    return {path: parameter for path, parameter in space.parameters.items() if path in needed}


def _tree_parent(parameter: Parameter, kept: Mapping[str, Parameter]) -> str | None:
    """Return the one parameter that decides about another where there is only one, else its parent in the tree.

    A condition on a sibling makes the sibling the parent: where the sibling is active, so is their common parent.
    """
    refs = set(parameter.when.refs) if parameter.when else set()
    if len(refs) != 1 or parameter.parent in refs:
        return parameter.parent
    (ref,) = refs
    sibling = kept[ref]
    here = (parameter.parent, parameter.index, value_key(parameter.branch))
    if parameter.parent is None or here == (sibling.parent, sibling.index, value_key(sibling.branch)):
        return ref
    return parameter.parent


def _fixed(kept: Mapping[str, Parameter], parents: Mapping[str, str | None]) -> set[str]:
    """Return the parameters that conditions read beside the tree, with all that decides about those."""
    found = {ref for path, p in kept.items() if p.when for ref in p.when.refs if ref != parents[path]}
    for path, parameter in reversed(list(kept.items())):
        if path in found:
            found |= set(parameter.above)
    return found


def _dimensions(
    parameter: Parameter, encoding: Encoding, *, gates: set[str], kept: Mapping[str, Parameter]
) -> list[Dimension]:
    """Return the dimensions of a parameter, without their place in the tree; several for cells and orders, none for no reason."""
    columns = encoding.columns.get(parameter.path, [])
    free = replace(_root(), path=parameter.path)
    if not columns:
        return [replace(free, cases=(parameter.default,))]
    domain = parameter.domain
    values, points, weights = _distribution(domain)
    base = replace(free, values=values, points=points, weights=weights)
    if parameter.path in gates and values is not None and points is not None:
        middles = (points[:-1] + points[1:]) / 2
        base = replace(base, cuts=np.array([-np.inf, *middles, np.inf]), cases=values)
    elif parameter.path in gates and isinstance(domain, Numeric):
        base = replace(base, **_intervals(domain, parameter.path, kept))
    imputed = encoding.imputed.numpy()
    return [replace(base, column=column, imputed=_single(imputed[column])) for column in columns]


def _single(value: Any) -> Any:
    """Round to single precision, as the forest reads its columns."""
    return np.asarray(value, dtype=np.float32).astype(np.float64)[()]


def _distribution(domain: Any) -> tuple[tuple[Any, ...] | None, Array | None, Array | None]:
    """Return the values of a domain, where they lie on the encoded axis, and their probabilities."""
    if isinstance(domain, Cell):
        count = len(domain.operations)
        return domain.operations, np.arange(count, dtype=np.float64), np.full(count, 1 / count)
    if isinstance(domain, Permutation):
        count = len(domain.items)
        return tuple(range(count)), _single(np.arange(count) / (count - 1)), np.full(count, 1 / count)
    if isinstance(domain, Categorical):
        count = len(domain.values)
        scale = max(count - 1, 1) if isinstance(domain, Ordinal) else 1
        return domain.values, _single(np.arange(count) / scale), np.full(count, 1 / count)
    if not isinstance(domain, Numeric) or domain.count is None or domain.count > MAX_POINTS:
        return None, None, None
    values = tuple(domain.every())
    points = _single([domain.to_unit(value) for value in values])
    if not domain.log or len(values) == 1:
        return values, points, np.full(len(values), 1 / len(values))
    # On a log scale a grid point stands for the values that round to it.
    step = float(domain.step or 0.0)
    middles = (np.array(values[:-1]) + np.array(values[1:])) / 2
    ends = np.log10(np.array([domain.low - min(step, domain.low) / 2, *middles, domain.last + step / 2]))
    widths = np.diff(ends)
    return values, points, widths / widths.sum()


def _intervals(domain: Numeric, path: str, kept: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the cases of a gate with too many values: what conditions and children tell apart."""
    tests: list[Test] = [
        test for p in kept.values() if p.when for clause in p.when.clauses for test in clause if test.ref == path
    ]
    marks = {float(end) for test in tests for end in (test.low, test.high) if end is not None}
    marks |= {float(value) for test in tests for value in (*(test.values or ()), *test.excluded)}
    marks |= {p.index + 0.5 for p in kept.values() if p.parent == path and p.index is not None}
    inner = sorted({domain.to_unit(mark) for mark in marks if domain.low < mark < domain.last})
    cuts = np.array([-np.inf, *inner, np.inf])
    middles = np.clip((np.maximum(cuts[:-1], 0.0) + np.minimum(cuts[1:], 1.0)) / 2, 0.0, 1.0)
    return {"cuts": cuts, "cases": tuple(domain.from_unit(float(unit)) for unit in middles)}


def _patterns(fixed: Sequence[Dimension], seed: int) -> tuple[Array, bool, Array]:
    """Return the combinations of cases (``s x f``), whether they are a sample, and what each one counts for."""
    counts = [len(dim.cases) for dim in fixed]
    if math.prod(counts) <= MAX_PATTERNS:
        every = list(itertools.product(*(range(count) for count in counts)))
        return np.array(every, dtype=np.int64).reshape(len(every), len(counts)), False, np.ones(len(every))
    rng = np.random.default_rng(seed)
    drawn, probability = np.empty((MAX_PATTERNS, len(fixed)), dtype=np.int64), np.ones(MAX_PATTERNS)
    for at, dim in enumerate(fixed):
        share = np.diff(dim.cumulative(dim.cuts))
        drawn[:, at] = rng.choice(len(dim.cases), MAX_PATTERNS, p=share / share.sum())
        probability *= share[drawn[:, at]]
    return drawn, True, 1.0 / (MAX_PATTERNS * probability)


def _pattern_configs(
    kept: Mapping[str, Parameter], fixed: Mapping[str, Dimension], chosen: Mapping[str, Array], *, count: int
) -> list[dict[str, Any]]:
    """Return, for each pattern, the values of the fixed parameters that are active in it."""
    configs: list[dict[str, Any]] = [{} for _ in range(count)]
    for path, parameter in kept.items():
        if path in fixed:
            for config, case in zip(configs, chosen[path], strict=True):
                if parameter.active(config):
                    config[path] = fixed[path].cases[case]
    return configs


def _active(parameter: Parameter, parent: Dimension, configs: Sequence[Mapping[str, Any]]) -> Array:
    """Return for each pattern and each case of the parent whether a parameter is active, given that the parent is."""
    known = np.array([_structurally(parameter, parent, case) for case in parent.cases])
    if parameter.when is None:
        return known[None, :]
    when = parameter.when
    rows = [
        [when.holds({**config, parent.path: case} if parent.path else config) for case in parent.cases]
        for config in configs
    ]
    if all(ref == parent.path for ref in when.refs):
        rows = rows[:1]
    return np.asarray(np.array(rows, dtype=bool) & known[None, :])


def _structurally(parameter: Parameter, parent: Dimension, case: Any) -> bool:
    """Say whether the place of a parameter in the tree lets it be active in a case of its parent."""
    if parameter.parent != parent.path or parent.path == "":
        return True
    if parameter.index is not None:
        return bool(case > parameter.index)
    return parameter.branch is ABSENT or value_key(case) == value_key(parameter.branch)
