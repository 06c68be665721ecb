"""Upper confidence bounds for one objective, of one row and of several."""

from __future__ import annotations

import math

import torch
from botorch.acquisition.analytic import UpperConfidenceBound
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor
from torch.nn.functional import softplus

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from .belief import Belief, believe, feasibility, the_target, unknown


class UCB:
    """The upper confidence bound ``mean + sqrt(beta) std`` (Srinivas et al., ICML 2010); `lcb` where losses are minimized.

    With bounds it is the log of how far that lies above the worst value believed to keep them, plus the log probability
    that they hold.

    Args:
        beta: At least 0. What the theory asks for grows with time and dimension and explores far longer than a search of a
            few dozen evaluations lasts; 1 is one standard deviation.

    Raises:
        SpecError: ``beta`` is below 0.
    """

    logarithmic = False

    def __init__(self, beta: float = 1.0) -> None:
        if not beta >= 0.0:
            raise SpecError(f"beta is {beta!r}, expected a number of at least 0.")
        self._beta = float(beta)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "ucb")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return feasibility(surrogate, belief.bounds)
        model = surrogate.subset_output([target])
        bound: AcquisitionFunction = UpperConfidenceBound(model, beta=self._beta)
        return _limited(bound, surrogate, belief, target=target)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return QUCB(self._beta)


class QUCB:
    """The upper confidence bound of the best of several rows, by Monte Carlo (Wilson et al. 2017).

    Pending rows that the surrogate does not know yet count among them.

    Args:
        beta: As of `UCB`.
        samples: Quasi-random samples, at least 1.

    Raises:
        SpecError: ``beta`` is below 0.
    """

    logarithmic = False

    def __init__(self, beta: float = 1.0, samples: int = 64) -> None:
        if not beta >= 0.0:
            raise SpecError(f"beta is {beta!r}, expected a number of at least 0.")
        self._beta = float(beta)
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "qucb")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return _summed(feasibility(surrogate, belief.bounds))
        model = surrogate.subset_output([target])
        sampler = SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed)
        width = math.sqrt(self._beta * math.pi / 2.0)
        waiting = unknown(surrogate, pending)

        def bound(X: Tensor) -> Tensor:
            if waiting is not None:
                X = torch.cat([X, waiting.expand(*X.shape[:-2], -1, -1)], dim=-2)
            posterior = model.posterior(X)
            samples = sampler(posterior)[..., 0]
            mean = posterior.mean[..., 0]
            best: Tensor = (mean + width * (samples - mean).abs()).amax(-1).mean(0)
            return best

        return _limited(bound, surrogate, belief, target=target)

    def joint(self) -> Acquisition:
        """Return itself: it takes several rows."""
        return self


def _limited(bound: AcquisitionFunction, surrogate: Surrogate, belief: Belief, *, target: int) -> AcquisitionFunction:
    if not belief.bounds:
        return bound
    floor = belief.mean[belief.within, target].min()
    feasible = _summed(feasibility(surrogate, belief.bounds))
    return lambda X: softplus(bound(X) - floor).log() + feasible(X)


def _summed(function: AcquisitionFunction) -> AcquisitionFunction:
    """Return the sum over the rows of a batch of a function of one row."""
    return lambda X: function(X.reshape(-1, 1, X.shape[-1])).reshape(X.shape[:-1]).sum(-1)
