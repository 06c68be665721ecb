"""From the curves of a search to a model of them and back to configurations: what model-based planners and sources share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..bo.rows import Rows
from ..bo.warp import Ranking
from ..space import Config
from .process import CurveData, CurveProcess
from .worth import worth

if TYPE_CHECKING:
    from torch import Tensor

    from ..space import SearchSpace
    from .curves import Curve, Curves
    from .staged import Situation

Believe = Callable[["Tensor"], tuple["Tensor", "Tensor"]]

_MOST = 400
_DRAWS = 512
_BAR = 0.8
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Known:
    """The curves of a search with a model of them.

    Args:
        curves: The curves that the model knows, by the positions it knows them by.
        process: The model.
        rows: The space's rows.
        believed: The mean of each curve at the full fidelity, a `N`-dim Tensor.
        best: The highest value that was seen at any fidelity, in units of the model.
    """

    curves: list[Curve]
    process: CurveProcess
    rows: Rows
    believed: Tensor
    best: float


class CurveModel:
    """Fits a `CurveProcess` to the curves of a search; keeps hyperparameters from one fit to the next."""

    def __init__(self) -> None:
        self._rows: tuple[str, Rows] | None = None
        self._count = 0
        self._hyperparameters: list[float] = []

    def dump(self) -> dict[str, Any]:
        """Return what the next fit starts from, as JSON."""
        return {"count": self._count, "hyperparameters": self._hyperparameters}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` returned; `{}` forgets."""
        self._count = int(state.get("count", 0))
        self._hyperparameters = list(state.get("hyperparameters", ()))

    def rows(self, space: SearchSpace) -> Rows:
        """Return the rows of a space."""
        if self._rows is None or self._rows[0] != space.hash:
            self._rows = (space.hash, Rows(space))
        return self._rows[1]

    def know(self, situation: Situation) -> Known:
        """Return the model of all that is known; what is under evaluation is believed to return what the model says.

        Raises:
            RuntimeError: The model cannot be fitted.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # small matrices: threads that spin take the cores from the workers
        try:
            return self._know(situation)
        finally:
            torch.set_num_threads(threads)

    def _know(self, situation: Situation) -> Known:
        curves = situation.curves
        rows = self.rows(curves.history.space)
        shown = [curve for curve in curves if curve.results or curve.waiting]
        points = select(shown, curves, limit=_MOST)
        values = worth(curves.Y, curves.history.objectives, situation.rng)[[p.observation for p in points]]
        y = Ranking.fit(values)(values)
        data = CurveData(
            rows.encode([curve.config for curve in shown]),
            torch.tensor([p.curve for p in points]),
            torch.tensor([p.level for p in points]),
            torch.from_numpy(y),
        )
        total = len(curves.history)
        refit = total - self._count >= max(2, self._count // 8) or total < self._count
        process = CurveProcess(rows, data, levels=len(curves.levels.values), start=self._hyperparameters, refit=refit)
        if refit:
            self._count, self._hyperparameters = total, process.hyperparameters
        for position, curve in enumerate(shown):
            for value in sorted(curve.waiting):
                process.believe(position, max(0, curves.levels.position(value)))
        everyone = torch.arange(len(shown))
        believed = process.mean(data.X, torch.full((len(shown),), curves.levels.top), curves=everyone).detach()
        return Known(shown, process, rows, believed, float(y.max()))

    def most_improving(self, situation: Situation, known: Known | None = None) -> Config | None:
        """Return the most promising of new configurations that are drawn from the space's priors; None when none is new.

        It has the highest expected improvement at the full fidelity, over the value that a fifth of the curves are believed to
        exceed. Both the draws and the lowered bar keep the search where a model of few curves knows something: over the best
        value of all, and with gradients, what is least known wins, which in many dimensions are the corners of the space. As a
        filter of draws, a model that only ranks a little better than chance still helps.

        Args:
            situation: What is known.
            known: The model of it; None to fit one.

        Raises:
            RuntimeError: The model cannot be fitted.
        """
        known = self.know(situation) if known is None else known
        top = situation.curves.levels.top
        bar = torch.quantile(known.believed, _BAR)
        return most_promising(
            situation, known.rows, lambda X: known.process.at(X, torch.full((len(X),), top)), best=bar
        )


def most_promising(situation: Situation, rows: Rows, believe: Believe, *, best: Tensor | float) -> Config | None:
    """Return the new configuration of the highest expected improvement among draws from the space's priors; None if none is new.

    Args:
        situation: What is known.
        rows: The space's rows.
        believe: Maps `n x d` rows to mean and standard deviation, `n`-dim Tensors.
        best: What is to be exceeded.
    """
    pool = situation.curves.history.space.sample_many(_DRAWS, situation.rng)
    with torch.no_grad():
        values = log_gain(*believe(rows.encode(pool)), best)
    for i in torch.argsort(values, descending=True, stable=True).tolist():
        config: Config = pool[i]
        if situation.is_new(config):
            return config
    return None


@dataclass(frozen=True)
class Point:
    """A result on a curve: the curve's position, the position of the level and that of the observation."""

    curve: int
    level: int
    observation: int


def select(shown: list[Curve], curves: Curves, *, limit: int) -> list[Point]:
    """Return the points that a model learns from, in order of arrival.

    All of them up to ``limit``; beyond, the last point of each curve and the latest of the rest.
    """
    last: list[Point] = []
    rest: list[Point] = []
    for position, curve in enumerate(shown):
        for value, observation in curve.results.items():
            point = Point(position, max(0, curves.levels.position(value)), observation)
            (last if value == curve.reached else rest).append(point)
    last.sort(key=lambda point: point.observation)
    rest.sort(key=lambda point: point.observation)
    if len(last) + len(rest) > limit:
        last = last[-limit:]
        rest = rest[len(rest) - (limit - len(last)) :]
    return sorted([*last, *rest], key=lambda point: point.observation)


def log_gain(mean: Tensor, deviation: Tensor, best: Tensor | float) -> Tensor:
    """Return the log of ``E[max(Z - best, 0)]`` for normal `Z`, stable far below (Ament et al., NeurIPS 2023, equation 9).

    Args:
        mean: A `n`-dim Tensor.
        deviation: A `n`-dim Tensor, above 0.
        best: What is to be exceeded.
    """
    z = (mean - best) / deviation
    density = -0.5 * z * z - _HALF_LOG_2PI
    near = z > -5.0
    safe = torch.where(near, z, torch.zeros_like(z))
    direct = torch.exp(-0.5 * safe * safe - _HALF_LOG_2PI) + safe * torch.special.ndtr(safe)
    tail = torch.where(near, torch.full_like(z, -6.0), z)
    # phi(z) + z Phi(z) = phi(z) / z^2 (1 - 3 / z^2 + ...) for z -> -inf
    far = density - 2.0 * torch.log(-tail) + torch.log1p(-3.0 / (tail * tail))
    return torch.where(near, torch.log(direct), far) + torch.log(deviation)


def usable(situation: Situation) -> bool:
    """Say whether a model makes sense: at least two different finite values are known."""
    Y = situation.curves.Y
    return len(np.unique(Y[np.isfinite(Y).all(axis=1)], axis=0)) >= 2
