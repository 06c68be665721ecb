"""Draws that no rule forbids: the priors conditional on the rules, without rejection. Not how a value is drawn.

What `counting` carries along to count is carried here with probabilities: from the last parameter up, how likely it is that the
draws which follow break no rule (the backward pass of forward filtering, backward sampling; Carter and Kohn, Biometrika
1994, Section 2). From the top down each parameter then takes a class of values by its prior mass times that probability, and a
value by its prior within the class. The draws have exactly the distribution that rejection leaves, whatever little that is.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from . import counting
from .domain import Categorical
from .numeric import Numeric
from .values import ABSENT, Config, fresh

if TYPE_CHECKING:
    import numpy as np

    from .counting import Readers, State
    from .space import SearchSpace
    from .tree import Parameter

MAX_EDGES = 500_000
_HALVINGS = 60

Span = tuple[float, float]
"""A stretch of [0, 1) that `quantile` maps to values of one class."""


@dataclass(frozen=True)
class Group:
    """The values of a domain that no condition and no rule tells apart.

    Args:
        value: One of them.
        mass: Their prior probability, in [0, 1].
        spans: Where they lie in the prior's distribution; empty for a domain that nothing reads, which draws by itself.
        fixed: Whether the value is the only one.
    """

    value: Any
    mass: float
    spans: tuple[Span, ...] = ()
    fixed: bool = False

    def draw(self, parameter: Parameter, rng: np.random.Generator) -> Any:
        """Draw one of the values by the prior."""
        domain = parameter.domain
        if self.fixed:
            return fresh(self.value)
        if not self.spans or not isinstance(domain, Categorical | Numeric):
            return domain.sample(rng)
        left = rng.random() * self.mass
        for low, high in self.spans:
            if left < high - low:
                break
            left -= high - low
        return domain.quantile(min(low + max(left, 0.0), math.nextafter(high, low)))


@dataclass(frozen=True)
class _Branch:
    """The ways on from a state: classes (-1: not active), the states they lead to, and the running sums of their weights."""

    steps: tuple[tuple[int, State], ...]
    sums: tuple[float, ...]


class Plan:
    """How to draw from a space with rules; built once by `plan`.

    Args:
        space: The space.
        groups: The classes of values of each parameter, by path.
        branches: For each parameter, the ways on from each state that can be reached and has any.
        share: The probability that a draw from the priors breaks no rule, in [0, 1].
    """

    def __init__(
        self,
        space: SearchSpace,
        groups: Mapping[str, Sequence[Group]],
        branches: Sequence[Mapping[State, _Branch]],
        *,
        share: float,
    ) -> None:
        self.share = share
        self._space, self._groups, self._branches = space, groups, branches
        self._parameters = tuple(space.parameters.values())

    def fixing(self, values: Mapping[str, Any]) -> Plan | None:
        """Return the plan of the draws that have these values, by path; see `plan`."""
        return plan(self._space, fixed=values)

    def draw(self, rng: np.random.Generator) -> Config | None:
        """Draw a configuration from the priors conditional on the rules; None where they leave no probability."""
        config: Config = {}
        state: State = ()
        for parameter, layer in zip(self._parameters, self._branches, strict=True):
            branch = layer.get(state)
            if branch is None:
                return None
            last = len(branch.steps) - 1
            at = min(bisect_right(branch.sums, rng.random() * branch.sums[-1]), last) if last else 0
            k, state = branch.steps[at]
            if k >= 0:
                config[parameter.path] = self._groups[parameter.path][k].draw(parameter, rng)
        return config


def plan(space: SearchSpace, *, fixed: Mapping[str, Any] | None = None) -> Plan | None:
    """Return how to draw from ``space``, None when rules and conditions entangle too many parameters.

    Args:
        space: A space with rules.
        fixed: Values, by path, that every draw has where the parameter is active.
    """
    readers = counting.readers_of(space)
    groups: dict[str, list[Group]] = {}
    for path, parameter in space.parameters.items():
        value = (fixed or {}).get(path, ABSENT)
        groups[path] = _groups(parameter, readers.get(path)) if value is ABSENT else [Group(value, 1.0, fixed=True)]
    classes = {path: [(group.value, 1) for group in found] for path, found in groups.items()}
    layers: list[Mapping[State, Sequence[tuple[int, State]]]] = []
    edges = 0
    for layer in counting.transitions(space, classes):
        edges += 0 if layer is None else sum(map(len, layer.values()))
        if layer is None or edges > MAX_EDGES:
            return None
        layers.append(layer)
    branches, share = _weighted(tuple(groups.values()), layers)
    return Plan(space, groups, branches, share=share)


def _weighted(
    groups: Sequence[Sequence[Group]], layers: Sequence[Mapping[State, Sequence[tuple[int, State]]]]
) -> tuple[list[dict[State, _Branch]], float]:
    """Return the branches of each layer and the probability that nothing is forbidden; dead ends are left out."""
    branches: list[dict[State, _Branch]] = []
    ahead: dict[State, float] = {(): 1.0}
    scale = 0.0
    for found, layer in zip(reversed(groups), reversed(layers), strict=True):
        here: dict[State, _Branch] = {}
        for state, steps in layer.items():
            weighted = [
                ((k, kept), weight)
                for k, kept in steps
                if (weight := ahead.get(kept, 0.0) * (1.0 if k < 0 else found[k].mass)) > 0
            ]
            if weighted:
                here[state] = _Branch(
                    tuple(step for step, _ in weighted), tuple(accumulate(weight for _, weight in weighted))
                )
        branches.append(here)
        top = max((branch.sums[-1] for branch in here.values()), default=1.0)  # so that long products do not vanish
        ahead = {state: branch.sums[-1] / top for state, branch in here.items()}
        scale += math.log(top)
    branches.reverse()
    return branches, ahead.get((), 0.0) * math.exp(scale)


def _groups(parameter: Parameter, readers: Readers | None) -> list[Group]:
    """Return the classes of values that the readers tell apart."""
    domain = parameter.domain
    if readers is None or not isinstance(domain, Categorical | Numeric):
        return [Group(domain.default(), 1.0)]
    predicates = readers.predicates()
    found: dict[tuple[bool, ...], tuple[Any, list[Span]]] = {}
    for low, high in pairwise(_edges(domain, readers)):
        if high > low:
            value = domain.quantile((low + high) / 2)
            found.setdefault(tuple(bool(holds(value)) for holds in predicates), (value, []))[1].append((low, high))
    return [Group(value, math.fsum(high - low for low, high in spans), tuple(spans)) for value, spans in found.values()]


def _edges(domain: Categorical | Numeric, readers: Readers) -> list[float]:
    """Return where in [0, 1], from low to high, the prior's distribution goes from one value or stretch to the next."""
    if isinstance(domain, Categorical):
        weights = domain.weights or (1.0,) * len(domain.values)
        total = math.fsum(weights)
        return [0.0, *(min(so_far / total, 1.0) for so_far in list(accumulate(weights))[:-1]), 1.0]
    return sorted({0.0, 1.0} | {edge for cut in set(readers.cuts()) for edge in _around(domain, cut)})


def _around(domain: Numeric, cut: float) -> tuple[float, float]:
    """Return where the distribution reaches ``cut``, and where it goes past it."""
    return _first(lambda u: domain.quantile(u) >= cut), _first(lambda u: domain.quantile(u) > cut)


def _first(reached: Callable[[float], bool]) -> float:
    """Return the least number in [0, 1] from which ``reached`` holds, 1 when it never does."""
    low, high = 0.0, 1.0
    if reached(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
