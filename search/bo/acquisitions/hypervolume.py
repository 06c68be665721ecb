"""Acquisitions of hypervolume for several objectives, exact and by Monte Carlo, with bounds as constraints.

Improvement is over what the surrogate believes of the rows that it knows, not over noisy measurements of them.
"""

from __future__ import annotations

import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from ..warp import Goals
from .belief import all_bounds, draw, feasibility, pure_bounds, sampled_bounds, the_targets, unknown, within

_MARGIN = 0.1
_TINY = 1e-30
_CONTENDERS = 20


class LogEHVI:
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

    logarithmic = True

    def __init__(self, front: str = "sampled") -> None:
        if front not in ("sampled", "mean"):
            raise SpecError(f"front is {front!r}, expected 'sampled' or 'mean'.")
        self._front = front

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There is one objective only.
        """
        goals = observed.goals
        columns = the_targets(goals, "ehvi")
        values = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        keep = within(values, all_bounds(goals))
        if self._front == "sampled" and bool(keep.any()):
            surrogate, values = _sampled(surrogate, surrogate.X[keep], values[keep][:, columns], seed=seed)
            keep = within(values, all_bounds(goals))
        if not bool(keep.any()):
            return feasibility(surrogate, all_bounds(goals))
        reference, Y = _reference_and_front(values, goals)
        cells = FastNondominatedPartitioning(ref_point=reference, Y=Y)
        model = surrogate.subset_output(columns)
        improvement = ExpectedHypervolumeImprovement(model, ref_point=reference.tolist(), partitioning=cells)
        bounds = pure_bounds(goals)
        feasible = feasibility(surrogate, bounds) if bounds else None

        def value(X: Tensor) -> Tensor:
            out: Tensor = (improvement(X) + _TINY).log()
            return out if feasible is None else out + feasible(X)

        return value

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        return LogNEHVI()


class LogNEHVI:
    """Noisy expected hypervolume improvement by Monte Carlo (`qLogNoisyExpectedHypervolumeImprovement` of BoTorch).

    It integrates over what the front may be, which costs about ten times an exact `LogEHVI` on its mean. References and
    bounds are those of `LogEHVI`.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    logarithmic = True

    def __init__(self, samples: int = 32) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There is one objective only.
        """
        goals = observed.goals
        columns = the_targets(goals, "qlognehvi")
        mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        acquisition: AcquisitionFunction
        if not bool(within(mean, all_bounds(goals)).any()):
            feasible = feasibility(surrogate, all_bounds(goals))
            return lambda X: feasible(X.reshape(-1, 1, X.shape[-1])).reshape(X.shape[:-1]).sum(-1)
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=surrogate,
            ref_point=_reference_and_front(mean, goals)[0],
            X_baseline=surrogate.X[_contenders(mean[:, columns])],
            sampler=SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            objective=IdentityMCMultiOutputObjective(outcomes=columns, num_outcomes=mean.shape[-1]),
            constraints=sampled_bounds(pure_bounds(goals)),
            X_pending=unknown(surrogate, pending),
            prune_baseline=False,
            cache_root=False,
        )
        return acquisition

    def joint(self) -> Acquisition:
        """Return itself: it takes several rows."""
        return self


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


def _sampled(surrogate: Surrogate, X: Tensor, mean: Tensor, *, seed: int) -> tuple[Surrogate, Tensor]:
    """Return a surrogate that takes one posterior sample of the contenders for true, and that sample.

    Args:
        surrogate: What is sampled.
        X: `n x d`-dim rows.
        mean: The `n x k`-dim Tensor of what is believed of their optimized targets.
        seed: Of the sample.

    Returns:
        The surrogate, and a `c x m`-dim Tensor.
    """
    chosen = torch.unique(X[_contenders(mean)], dim=0)
    values = draw(surrogate, chosen, count=1, seed=seed)[0]
    return surrogate.condition(chosen, values), values


def _contenders(Y: Tensor) -> Tensor:
    """Return the positions of the first fronts of `n x k` believed values, about twenty: what a noisy front is made of."""
    rest, chosen = torch.arange(len(Y)), torch.arange(0)
    while len(rest) and len(chosen) < _CONTENDERS:
        front = is_non_dominated(Y[rest])
        chosen, rest = torch.cat([chosen, rest[front]]), rest[~front]
    return chosen
