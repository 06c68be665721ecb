"""Freeze-thaw as a planner: which learning curve is continued by a level, or what begins anew, by a model of the curves."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .halving import Halving
from .sources import Priors
from .staged import Situation, Step

if TYPE_CHECKING:
    from torch import Tensor

    from ..objective import Objective
    from ..space import Config
    from .model import CurveModel, Known

log = logging.getLogger(__name__)

_LEAST, _MOST = -3.0, 0.0
_ETA = 2.0


class FreezeThaw:
    """Continue the curve, or begin the configuration, that most probably exceeds what is best by a margin at a horizon.

    All curves, frozen where they are, and new configurations compete in every step for one more level. Both the horizon (how far
    ahead they are compared) and the margin (how much better they have to be) are drawn at random for each step, so that the search
    is greedy in some steps and bold in others, without a schedule: MFPI-random of ifBO (Rakotoarison et al., ICML 2024, section
    4.2). The model is a Gaussian process over curves (`kernel`), in the line of freeze-thaw (Swersky, Snoek and Adams 2014) and of
    DyHPO (Wistuba, Kadra and Grabocka, NeurIPS 2022).

    The first configurations, and a share of the steps for good, are asynchronous successive halving on draws from the priors: that
    is what the model begins with, and a model that is wrong costs no more than a constant factor.

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
        known = model.know(situation)
        score = Score.draw(known, situation)
        step, value = score.of_curves(known, situation)
        if situation.exhausted:
            return step
        config = score.of_new(known, model.candidates(known, situation), situation=situation, above=value)
        return step if config is None else Step(0, config)

    def check(self, objectives: Sequence[Objective]) -> None:
        """Take any objectives; several are weighed at random in every step, see `worth`."""

    def dump(self) -> dict[str, Any]:
        """Return what the next fit starts from."""
        return dict(self._state) if self._model is None else self._model.dump()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned."""
        self._model, self._state = None, state

    def warm_up(self) -> None:
        """Import torch and what of BoTorch the model needs."""
        from . import model  # noqa: F401


@dataclass(frozen=True)
class Score:
    """The probability that a curve is above a bar at a horizon.

    Args:
        horizon: From 0 to 1, on the logarithmic scale of fidelities; a curve that is further is judged at its next level.
        bar: In units of the model.
    """

    horizon: float
    bar: float

    @classmethod
    def draw(cls, known: Known, situation: Situation) -> Score:
        """Draw a horizon, and a margin over the best value seen, as a share of the standard deviation of all."""
        margin = 10.0 ** situation.rng.uniform(_LEAST, _MOST)
        return cls(float(situation.rng.uniform()), float(known.process.data.y.max()) + margin)

    def __call__(self, known: Known, X: Tensor, u: Tensor, *, curves: Tensor | None = None) -> Tensor:
        """Return the log probabilities of `n` configurations that go on to fidelities ``u``, a `n`-dim Tensor."""
        import torch

        mean, deviation = known.process.at(X, u.clamp_min(self.horizon), curves=curves)
        found: Tensor = torch.special.log_ndtr((mean - self.bar) / deviation)
        return found

    def of_curves(self, known: Known, situation: Situation) -> tuple[Step | None, float]:
        """Return the best continuation by a level and its score; None and ``-inf`` without one."""
        import torch

        levels = situation.curves.levels
        position = {id(curve): i for i, curve in enumerate(known.curves)}
        free = situation.curves.unfinished()
        if not free:
            return None, -math.inf
        at = torch.tensor([position[id(curve)] for curve in free])
        steps = [levels.position(curve.reached) + 1 for curve in free]
        u = torch.tensor([levels.unit(levels.values[step]) for step in steps], dtype=torch.float64)
        with torch.no_grad():
            values = self(known, known.process.data.X[at], u, curves=at)
        best = int(values.argmax())
        return Step(steps[best], free[best].config), float(values[best])

    def of_new(self, known: Known, candidates: Tensor, *, situation: Situation, above: float) -> Config | None:
        """Return the best new configuration among candidate rows whose score is above another one."""
        import torch

        with torch.no_grad():
            values = self(known, candidates, torch.zeros(len(candidates), dtype=torch.float64))
        for i in torch.argsort(values, descending=True, stable=True).tolist():
            if float(values[i]) <= above:
                return None
            config = known.rows.decode(candidates[i][None])[0]
            if situation.is_new(config):
                return config
        return None
