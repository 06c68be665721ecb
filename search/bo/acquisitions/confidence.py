"""Upper confidence bounds for one objective, of one row and of several."""

from __future__ import annotations

import math

import torch
from botorch.acquisition.analytic import UpperConfidenceBound
from torch import Tensor
from torch.nn.functional import softplus

from ...strategy import check_number
from ..parts import Acquisition, AcquisitionFunction
from .belief import feasibility
from .bounded import LARGEST, Bounded, MonteCarlo, Setting


class UCB(Bounded):
    """The upper confidence bound ``mean + sqrt(beta) std`` (Srinivas et al., ICML 2010); `lcb` where losses are minimized.

    With bounds it is the log of how far that lies above the worst value believed to keep them, plus the log probability
    that they hold.

    Args:
        beta: At least 0. What the theory asks for grows with time and dimension and explores far longer than a search of a
            few dozen evaluations lasts; 1 is one standard deviation.

    Raises:
        SpecError: ``beta`` is no number of at least 0.
    """

    name = "ucb"
    logarithmic = False

    def __init__(self, beta: float = 1.0) -> None:
        self._beta = check_number(beta, "beta", low=0.0, high=LARGEST)

    def _function(self, given: Setting) -> AcquisitionFunction:
        return _limited(UpperConfidenceBound(given.model, beta=self._beta), given)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return QUCB(self._beta)


class QUCB(MonteCarlo):
    """The upper confidence bound of the best of several rows, by Monte Carlo (Wilson et al. 2017).

    Pending rows that the surrogate does not know yet count among them.

    Args:
        beta: As of `UCB`.
        samples: Quasi-random samples, at least 1.

    Raises:
        SpecError: ``beta`` is no number of at least 0.
    """

    name = "qucb"
    logarithmic = False

    def __init__(self, beta: float = 1.0, samples: int = 64) -> None:
        super().__init__(samples)
        self._beta = check_number(beta, "beta", low=0.0, high=LARGEST)

    def _function(self, given: Setting) -> AcquisitionFunction:
        model, sampler, waiting = given.model, self._sampler(given), given.waiting
        width = math.sqrt(self._beta * math.pi / 2.0)

        def bound(X: Tensor) -> Tensor:
            if waiting is not None:
                X = torch.cat([X, waiting.expand(*X.shape[:-2], -1, -1)], dim=-2)
            posterior = model.posterior(X)
            samples = sampler(posterior)[..., 0]
            mean = posterior.mean[..., 0]
            best: Tensor = (mean + width * (samples - mean).abs()).amax(-1).mean(0)
            return best

        return _limited(bound, given)


def _limited(bound: AcquisitionFunction, given: Setting) -> AcquisitionFunction:
    belief = given.belief
    if not belief.bounds:
        return bound
    floor = belief.mean[belief.within, given.target].min()
    feasible = feasibility(given.surrogate, belief.bounds)
    return lambda X: softplus(bound(X) - floor).log() + feasible(X)
