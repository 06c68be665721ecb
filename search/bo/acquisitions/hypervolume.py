"""Acquisitions of hypervolume for several objectives, exact and by Monte Carlo, with bounds as constraints.

Improvement is over what the surrogate believes of the rows that it knows, not over noisy measurements of them.
"""

from __future__ import annotations

import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from ....errors import SpecError
from ..parts import Acquisition, AcquisitionFunction, Surrogate
from ..warp import Goals
from .belief import draw, feasibility, limited, pure_bounds, sampled_bounds, within
from .bounded import Bounded, MonteCarlo, Setting

_MARGIN = 0.1
_TINY = 1e-30
_CONTENDERS = 20


class LogEHVI(Bounded):
    """The log of the expected hypervolume improvement, exact for independent targets (Yang et al. 2019; BoTorch).

    The reference point lies a tenth of the range below the worst values believed of anything within the bounds (not of the
    front alone, which as long as it is short would make what lies beyond its ends worth nothing), or at the bound of an
    objective that has one: what breaks it improves nothing. Bounds of weight 0 multiply by the probability that they hold.
    While nothing is believed to be within all bounds, it is the probability of that.

    Args:
        front: What is to be improved on: ``"sampled"`` is one posterior sample of the contenders, drawn anew for every
            candidate, which estimates noisy EHVI (Daulton et al., NeurIPS 2021) at the price of EHVI; ``"mean"`` is what is
            believed of them.

    Raises:
        SpecError: ``front`` is another word.
    """

    name = "ehvi"
    several = True

    def __init__(self, front: str = "sampled") -> None:
        if front not in ("sampled", "mean"):
            raise SpecError(f"front is {front!r}, expected 'sampled' or 'mean'.")
        self._front = front

    def _function(self, given: Setting) -> AcquisitionFunction:
        goals, surrogate, values = given.observed.goals, given.surrogate, given.belief.mean
        if self._front == "sampled":
            surrogate, values = _sampled(given)
            if not bool(within(values, given.belief.bounds).any()):
                return feasibility(surrogate, given.belief.bounds)
        reference, Y = _reference_and_front(values, goals)
        cells = FastNondominatedPartitioning(ref_point=reference, Y=Y)
        model = surrogate.subset_output(given.targets)
        improvement = ExpectedHypervolumeImprovement(model, ref_point=reference.tolist(), partitioning=cells)
        return limited(lambda X: (improvement(X) + _TINY).log(), surrogate, pure_bounds(goals))

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return LogNEHVI()


class LogNEHVI(MonteCarlo):
    """Noisy expected hypervolume improvement by Monte Carlo (`qLogNoisyExpectedHypervolumeImprovement` of BoTorch).

    It integrates over what the front may be, which costs about ten times an exact `LogEHVI` on its mean. References and
    bounds are those of `LogEHVI`.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    name = "qlognehvi"
    several = True

    def __init__(self, samples: int = 32) -> None:
        super().__init__(samples)

    def _function(self, given: Setting) -> AcquisitionFunction:
        goals, mean, columns = given.observed.goals, given.belief.mean, given.targets
        acquisition: AcquisitionFunction = qLogNoisyExpectedHypervolumeImprovement(
            model=given.surrogate,
            ref_point=_reference_and_front(mean, goals)[0],
            X_baseline=given.surrogate.X[_contenders(mean[:, columns])],
            sampler=self._sampler(given),
            objective=IdentityMCMultiOutputObjective(outcomes=columns, num_outcomes=mean.shape[-1]),
            constraints=sampled_bounds(pure_bounds(goals)),
            X_pending=given.waiting,
            prune_baseline=False,
            cache_root=False,
        )
        return acquisition


def _reference_and_front(mean: Tensor, goals: Goals) -> tuple[Tensor, Tensor]:
    """Return the reference point of a hypervolume, and the believed values that lie above it and within the constraints.

    Args:
        mean: A `n x m`-dim Tensor of believed values, at least one within all bounds.
        goals: What is optimized, in that order, and the bounds.
    """
    Y = mean[within(mean, pure_bounds(goals))][:, list(goals.optimized)]
    front = Y[is_non_dominated(Y)]
    worst, best = Y.min(dim=0).values, Y.max(dim=0).values
    reference = worst - _MARGIN * torch.where(best > worst, best - worst, torch.ones_like(best))
    for position, column in enumerate(goals.optimized):
        if column in goals.bounds:
            reference[position] = goals.bounds[column]
    return reference, front[(front > reference).all(dim=-1)]


def _sampled(given: Setting) -> tuple[Surrogate, Tensor]:
    """Return a surrogate that takes one posterior sample of the contenders within the bounds for true.

    Returns:
        The surrogate, and the sample, a `c x m`-dim Tensor.
    """
    within, surrogate = given.belief.within, given.surrogate
    contenders = _contenders(given.belief.mean[within][:, given.targets])
    chosen = torch.unique(surrogate.X[within][contenders], dim=0)
    values = draw(surrogate, chosen, count=1, seed=given.seed)[0]
    return surrogate.condition(chosen, values), values


def _contenders(Y: Tensor) -> Tensor:
    """Return the positions of the first fronts of `n x k` believed values, about twenty: what a noisy front is made of."""
    rest, chosen = torch.arange(len(Y)), torch.arange(0)
    while len(rest) and len(chosen) < _CONTENDERS:
        front = is_non_dominated(Y[rest])
        chosen, rest = torch.cat([chosen, rest[front]]), rest[~front]
    return chosen
