"""Freeze-thaw as a planner: which learning curve is continued by a level, or what begins anew, by a model of the curves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .curves import Curve
from .halving import Halving
from .sources import Priors
from .staged import Situation, Step

if TYPE_CHECKING:
    from ..objective import Objective
    from ..space import SearchSpace
    from .model import CurveModel, Known

log = logging.getLogger(__name__)

_ETA = 2.0


class FreezeThaw:
    """Train what promises the largest gain per unit of training: a curve to be continued, or a configuration to be begun.

    All curves, frozen where they are, and the most promising new configuration compete in every step, each at every level that is
    ahead of it (`looks`). What disappoints is left where it is, and thawed when the rest turns out worse (Swersky, Snoek and Adams
    2014). The levels where nothing is to be learned are passed by. The model is a Gaussian process over curves (`kernel`) of
    values by their rank among all that were seen, at whatever level.

    The first configurations are asynchronous successive halving on draws from the priors, and a share of the steps may be for
    good.

    Args:
        initial: Configurations before the model is used, at least 1.
        random: The share of steps that the model has no part in, from 0 to 1.
    """

    def __init__(self, *, initial: int, random: float) -> None:
        self._initial = initial
        self._random = random
        self._model: CurveModel | None = None
        self._state: Mapping[str, Any] = {}
        self._halving = Halving(eta=_ETA, brackets=1, source=Priors())

    @property
    def name(self) -> str:
        """Of this planner with its options."""
        return f"freeze-thaw(initial={self._initial}, random={self._random})"

    def next(self, situation: Situation) -> Step | None:
        """Return the next step; see `Planner.next`."""
        from .model import CurveModel, usable

        few = len(situation.curves) < self._initial
        if few or not usable(situation) or situation.rng.random() < self._random:
            return self._halved(situation)
        if self._model is None:
            self._model = CurveModel()
            self._model.load(self._state)
        try:
            return self._best(self._model, situation)
        except RuntimeError as e:
            log.warning("the model failed on %d curves, halving instead: %s", len(situation.curves), e)
            return self._halved(situation)

    def _halved(self, situation: Situation) -> Step | None:
        """Return a step of successive halving; the default configuration is the first to begin."""
        step = self._halving.next(situation)
        return Step(0, situation.curves.history.space.default()) if not len(situation.curves) else step

    def _best(self, model: CurveModel, situation: Situation) -> Step | None:
        """Return the step of the highest rate among all curves and a new configuration; None without any."""
        known = model.know(situation)
        position = {id(curve): i for i, curve in enumerate(known.curves)}
        free = situation.curves.unfinished()
        found: list[tuple[float, Step]] = []
        if free:
            at = [position[id(curve)] for curve in free]
            found.append(_best_of(free, known, at=at, situation=situation))
        config = None if situation.exhausted else model.most_improving(situation, known)
        if config is not None:
            found.append(_best_of([Curve(config)], known, at=None, situation=situation))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def check(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Take any space and any objectives; several are weighed at random in every step, see `worth`."""

    def dump(self) -> dict[str, Any]:
        """Return what the next fit starts from."""
        return dict(self._state) if self._model is None else self._model.dump()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned."""
        self._model, self._state = None, state

    def warm_up(self) -> None:
        """Import torch and what of BoTorch the model needs."""
        from . import model  # noqa: F401


def _best_of(
    curves: Sequence[Curve], known: Known, *, at: Sequence[int] | None, situation: Situation
) -> tuple[float, Step]:
    """Return the best look at some curves, with its value.

    Args:
        curves: At least one that is not at the full level.
        known: The model.
        at: The positions by which the model knows them; None for new ones.
        situation: What is known.
    """
    import torch

    from .looks import looks

    levels = situation.curves.levels
    X = known.rows.encode([curve.config for curve in curves])
    with torch.no_grad():
        ladder = known.process.ladder(X, curves=None if at is None else torch.tensor(at))
        values = looks(
            ladder,
            spent=[curve.reached for curve in curves],
            levels=levels,
            best=known.best,
            noise=known.process.noise,
        )
    row, level = divmod(int(values.argmax()), len(levels.values))
    return float(values[row, level]), Step(level, curves[row].config)
