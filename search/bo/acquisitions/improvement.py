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
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from ..warp import Goals
from .belief import believe, feasibility, limited, pure_bounds, sampled_bounds, the_target, unknown

_CONTENDERS = 20


class LogEI:
    """Log expected improvement (Ament et al., NeurIPS 2023), times the probability that bounds hold.

    While nothing is believed to be within the bounds, it is that probability alone.
    """

    logarithmic = True

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "logei")
        belief = believe(surrogate, observed.goals)
        acquisition: AcquisitionFunction
        if not belief.bounds:
            acquisition = LogExpectedImprovement(surrogate.subset_output([target]), best_f=belief.best(target))
        elif not bool(belief.within.any()):
            acquisition = feasibility(surrogate, belief.bounds)
        else:
            best = belief.best(target)
            acquisition = LogConstrainedExpectedImprovement(surrogate, best, target, belief.bounds)
        return acquisition

    def declines(self, goals: Goals) -> bool:
        """Say that it falls with the variance, where the means stay: when there are no bounds on other targets."""
        return not pure_bounds(goals)

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return QLogEI()


class EI:
    """Expected improvement (Jones et al. 1998) as it is, not its log: what `LogEI` is better than, for comparison."""

    logarithmic = False

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        the_target(observed.goals, "ei")
        log = LogEI().build(surrogate, observed, pending=pending, seed=seed)
        return lambda X: log(X).exp()

    def joint(self) -> Acquisition:
        """Return its log for several rows at once."""
        return QLogEI()


class LogPI:
    """Log probability of improvement (Kushner 1964) by a margin, times the probability that bounds hold.

    Args:
        margin: How much better is better, in standard deviations of the targets, at least 0.

    Raises:
        SpecError: ``margin`` is below 0.
    """

    logarithmic = True

    def __init__(self, margin: float = 0.01) -> None:
        if not margin >= 0.0:
            raise SpecError(f"margin is {margin!r}, expected a number of at least 0.")
        self._margin = float(margin)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "pi")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return feasibility(surrogate, belief.bounds)
        model = surrogate.subset_output([target])
        improves: AcquisitionFunction = LogProbabilityOfImprovement(model, best_f=belief.best(target) + self._margin)
        return limited(improves, surrogate, belief.bounds)


class QLogEI:
    """Log expected improvement of several rows at once, and given pending ones, by Monte Carlo (Ament et al. 2023).

    Pending rows that the surrogate does not know yet are integrated over.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    logarithmic = True

    def __init__(self, samples: int = 64) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "qlogei")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return _of_all(feasibility(surrogate, belief.bounds))
        acquisition: AcquisitionFunction = qLogExpectedImprovement(
            surrogate,
            belief.best(target),
            sampler=SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            objective=GenericMCObjective(lambda Z, X=None: Z[..., target]),  # noqa: ARG005 - BoTorch passes X
            X_pending=unknown(surrogate, pending),
            constraints=sampled_bounds(belief.bounds),
        )
        return acquisition

    def joint(self) -> Acquisition:
        """Return itself: it takes several rows."""
        return self


class QLogNEI:
    """Noisy log expected improvement by Monte Carlo (`qLogNoisyExpectedImprovement` of BoTorch; Letham et al. 2019).

    It integrates over which of the twenty best known rows is best, so that luck in one measurement does not count; pending
    rows that the surrogate does not know yet belong to them. It costs about twenty times `LogEI`.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    logarithmic = True

    def __init__(self, samples: int = 64) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        target = the_target(observed.goals, "qlognei")
        belief = believe(surrogate, observed.goals)
        if not bool(belief.within.any()):
            return _of_all(feasibility(surrogate, belief.bounds))
        value = torch.where(belief.within, belief.mean[:, target], -torch.inf)
        contenders = surrogate.X[torch.argsort(value, descending=True, stable=True)[:_CONTENDERS]]
        acquisition: AcquisitionFunction = qLogNoisyExpectedImprovement(
            surrogate,
            torch.unique(contenders, dim=0),
            sampler=SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            objective=GenericMCObjective(lambda Z, X=None: Z[..., target]),  # noqa: ARG005 - BoTorch passes X
            X_pending=unknown(surrogate, pending),
            constraints=sampled_bounds(belief.bounds),
            prune_baseline=False,
            cache_root=False,
        )
        return acquisition

    def joint(self) -> Acquisition:
        """Return itself: it takes several rows."""
        return self


def _of_all(function: AcquisitionFunction) -> AcquisitionFunction:
    """Return the sum over the rows of a batch of a function of one row."""
    return lambda X: function(X.reshape(-1, 1, X.shape[-1])).reshape(X.shape[:-1]).sum(-1)
