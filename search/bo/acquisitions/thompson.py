"""The acquisition ``ts``: one draw from the posterior, taken for true."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...strategy import check_integer
from ..parts import AcquisitionFunction, Observed, Surrogate
from ..warp import Goals
from .belief import draw, stand_in
from .scalarized import chebyshev

_BROKEN = 1e3


class Thompson:
    """Thompson sampling: a joint posterior sample on rows that stand for the space.

    Elsewhere it is what a surrogate expects that also knows the sample, so that its optimum can be followed between the
    rows; with a surrogate without gradients it is defined on those rows alone. Several objectives are scalarized by random
    weights (Paria et al., UAI 2019), and bounds are those of the sample (Eriksson and Poloczek, AISTATS 2021).

    Args:
        most: Rows that stand for the space, at least 1.
    """

    logarithmic = False

    def __init__(self, most: int = 384) -> None:
        self._most = check_integer(most, "most", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`."""
        X = stand_in(observed, surrogate, most=self._most)
        sample = draw(surrogate, X, count=1, seed=seed)[0]
        value = _value(sample, observed.goals, seed=seed)
        if getattr(surrogate, "differentiable", True):
            path = surrogate.condition(X, sample)
            return lambda rows: value(path.posterior(rows).mean[..., 0, :])
        listed = value(sample)

        def look_up(rows: Tensor) -> Tensor:
            same = (rows == X).all(-1)
            return torch.where(same, listed, -torch.inf).amax(-1)

        return look_up


def _value(sample: Tensor, goals: Goals, *, seed: int) -> Callable[[Tensor], Tensor]:
    """Return what is maximized, as a function of `(b) x m`-dim sampled targets."""
    columns = list(goals.optimized)
    scalar = (lambda Y: Y[..., 0]) if len(columns) == 1 else chebyshev(sample[:, columns], seed=seed)

    def value(Y: Tensor) -> Tensor:
        out: Tensor = scalar(Y[..., columns])
        for column, bound in goals.bounds.items():
            out = out - _BROKEN * (bound - Y[..., column]).clamp_min(0.0)
        return out

    return value
