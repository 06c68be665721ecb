"""Acquisitions of improvement for one objective, analytic and by Monte Carlo, with bounds as constraints.

Improvement is over what the surrogate believes of the rows that it knows, not over noisy measurements of them.
"""

from __future__ import annotations

import torch
from botorch.acquisition.analytic import (
    LogConstrainedExpectedImprovement,
    LogExpectedImprovement,
    LogProbabilityOfImprovement,
)
from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
from torch import Tensor

from ...strategy import check_number
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from .belief import pure_bounds, sampled_bounds
from .bounded import LARGEST, Bounded, MonteCarlo, Setting

_CONTENDERS = 20


class LogEI(Bounded):
    """Log expected improvement (Ament et al., NeurIPS 2023), times the probability that bounds hold.

    While nothing is believed to be within the bounds, it is that probability alone.
    """

    name = "logei"

    def _function(self, given: Setting) -> AcquisitionFunction:
        bounds = given.belief.bounds
        acquisition: AcquisitionFunction
        if bounds:
            acquisition = LogConstrainedExpectedImprovement(given.surrogate, given.best, given.target, bounds)
        else:
            acquisition = LogExpectedImprovement(given.model, best_f=given.best)
        return acquisition

    def declines(self, observed: Observed) -> bool:
        """Say that it falls with the variance, where the means stay: when there are no bounds on other targets."""
        return not pure_bounds(observed.goals)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return QLogEI()


class EI(LogEI):
    """Expected improvement (Jones et al. 1998) as it is, not its log: what `LogEI` is better than, for comparison."""

    name = "ei"
    logarithmic = False

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        log = super().build(surrogate, observed, pending=pending, seed=seed)
        return lambda X: log(X).exp()


class LogPI(Bounded):
    """Log probability of improvement (Kushner 1964) by a margin, times the probability that bounds hold.

    Args:
        margin: How much better is better, in standard deviations of the targets, at least 0.

    Raises:
        SpecError: ``margin`` is no number of at least 0.
    """

    name = "pi"

    def __init__(self, margin: float = 0.01) -> None:
        self._margin = check_number(margin, "margin", low=0.0, high=LARGEST)

    def _function(self, given: Setting) -> AcquisitionFunction:
        improves: AcquisitionFunction = LogProbabilityOfImprovement(given.model, best_f=given.best + self._margin)
        return given.limited(improves)


class QLogEI(MonteCarlo):
    """Log expected improvement of several rows at once, and given pending ones, by Monte Carlo (Ament et al. 2023).

    Pending rows that the surrogate does not know yet are integrated over.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    name = "qlogei"

    def _function(self, given: Setting) -> AcquisitionFunction:
        acquisition: AcquisitionFunction = qLogExpectedImprovement(
            given.surrogate,
            given.best,
            sampler=self._sampler(given),
            objective=self._of_samples(given),
            X_pending=given.waiting,
            constraints=sampled_bounds(given.belief.bounds),
        )
        return acquisition


class QLogNEI(MonteCarlo):
    """Noisy log expected improvement by Monte Carlo (`qLogNoisyExpectedImprovement` of BoTorch; Letham et al. 2019).

    It integrates over which of the twenty best known rows is best, so that luck in one measurement does not count; pending
    rows that the surrogate does not know yet belong to them. It costs about twenty times `LogEI`.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    name = "qlognei"

    def _function(self, given: Setting) -> AcquisitionFunction:
        value = torch.where(given.belief.within, given.belief.mean[:, given.target], -torch.inf)
        contenders = given.surrogate.X[torch.argsort(value, descending=True, stable=True)[:_CONTENDERS]]
        acquisition: AcquisitionFunction = qLogNoisyExpectedImprovement(
            given.surrogate,
            torch.unique(contenders, dim=0),
            sampler=self._sampler(given),
            objective=self._of_samples(given),
            X_pending=given.waiting,
            constraints=sampled_bounds(given.belief.bounds),
            prune_baseline=False,
            cache_root=False,
        )
        return acquisition
