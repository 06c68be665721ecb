"""Asynchronous successive halving and Hyperband as planners: who is continued, and at which level a new configuration begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pareto import fitness_order
from .staged import Situation, Step

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace
    from .curves import Curve, Curves
    from .levels import Levels
    from .sources import Source


class Halving:
    """Asynchronous successive halving (ASHA; Li et al., MLSys 2020, algorithm 2), in one bracket or in several.

    Whenever a candidate is wanted, the best configuration that is in the first ``1 / eta`` of all results at its level, and not
    yet continued, goes on to the next level, the highest levels first; else a new configuration begins. No worker waits for a
    level to be complete.

    Several brackets are Hyperband (Li et al., JMLR 2018), revised to a stream: bracket ``s`` is a search of its own that begins at
    level ``s``, and a new configuration begins in the bracket on which least was spent, so that all brackets get equal shares at
    any time, as Hyperband's do at the end of each of its rounds, and none has to be complete before the next one starts.

    Once there is no new configuration, the best are continued whatever their share.

    Args:
        eta: One in how many is continued.
        brackets: At least 1; those that would begin above the full level are left out.
        source: Where new configurations come from.
    """

    def __init__(self, *, eta: float, brackets: int, source: Source) -> None:
        self._eta = eta
        self._brackets = brackets
        self._source = source

    @property
    def name(self) -> str:
        """Of this planner with its options."""
        return f"halving(eta={self._eta}, brackets={self._brackets}, proposals={self._source.name})"

    def next(self, situation: Situation) -> Step | None:
        """Return the next step; see `Planner.next`."""
        curves = situation.curves
        found = self._continued(curves, share=1.0 if situation.exhausted else 1.0 / self._eta)
        if found is not None or situation.exhausted:
            return found
        return Step(self._cheapest(curves), self._source.next(situation))

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Refuse what the source cannot search; see `Planner.check`."""
        self._source.check(space, objectives)

    def dump(self) -> dict[str, Any]:
        """Return the source's state."""
        return self._source.dump()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back the source's state."""
        self._source.load(state)

    def warm_up(self) -> None:
        """Import what the source needs."""
        self._source.warm_up()

    def _continued(self, curves: Curves, *, share: float) -> Step | None:
        """Return the continuation of the best configuration that may be, of the highest level that has one."""
        members = self._members(curves)
        for level in range(curves.levels.top - 1, -1, -1):
            found: list[Curve] = []
            for bracket in range(min(level + 1, self._count(curves.levels))):
                found += best_of(members[bracket], curves, level=level, share=share)
            if found:
                return Step(level + 1, found[0].config)
        return None

    def _cheapest(self, curves: Curves) -> int:
        spent = [sum(curve.claimed for curve in members) for members in self._members(curves)]
        return int(np.argmin(spent))

    def _members(self, curves: Curves) -> list[list[Curve]]:
        """Return the curves of each bracket: those that began at its level."""
        count = self._count(curves.levels)
        out: list[list[Curve]] = [[] for _ in range(count)]
        for curve in curves:
            out[min(max(0, curves.levels.position(curve.began)), count - 1)].append(curve)
        return out

    def _count(self, known: Levels) -> int:
        return min(self._brackets, known.top + 1)


def best_of(members: list[Curve], curves: Curves, *, level: int, share: float) -> list[Curve]:
    """Return the curves to be continued from a level, the best first.

    Args:
        members: The curves of one bracket.
        curves: All curves.
        level: The position of the level, below the top.
        share: How many of those with a result there are continued, from 0 to 1; failed ones count and are not.
    """
    value = curves.levels.values[level]
    there = [curve for curve in members if value in curve.results]
    allowed = int(len(there) * share + 1e-9)
    if not allowed or all(curve.claimed > value for curve in there):
        return []
    Y = curves.Y[[curve.results[value] for curve in there]]
    order = fitness_order(Y, curves.history.objectives)[:allowed]
    return [there[i] for i in order if there[i].claimed <= value and not there[i].failed and np.isfinite(Y[i]).all()]
