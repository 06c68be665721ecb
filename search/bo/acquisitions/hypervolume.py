"""Acquisitions from BoTorch, for one objective and for several, with bounds as constraints.

Improvement is over what the surrogate believes of the rows seen and pending, not over noisy measurements of them.
"""

from __future__ import annotations

import torch
from botorch.acquisition.analytic import (
    LogConstrainedExpectedImprovement,
    LogExpectedImprovement,
    LogProbabilityOfFeasibility,
)
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.sampling.normal import IIDNormalSampler, SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from ...errors import SpecError
from ..strategy import check_integer
from .parts import AcquisitionFunction, Observed, Surrogate
from .warp import Goals

_MARGIN = 0.1
_TINY = 1e-30
_CONTENDERS = 20


class LogEI:
    """Log expected improvement (Ament et al., NeurIPS 2023), times the probability that bounds hold.

    While nothing is believed to be within the bounds, it is that probability alone.
    """

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There are several objectives.
        """
        goals = observed.goals
        if len(goals.optimized) != 1:
            problem = f"The acquisition 'logei' takes one objective, not {len(goals.optimized)}."
            raise SpecError(problem, hint="Choose 'ehvi' or 'qlognehvi', or leave the choice to 'auto'.")
        target = goals.optimized[0]
        mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        # a bound on the objective itself does not change which configuration is best
        constraints = _pure_constraints(goals)
        within = _within(mean, constraints)
        acquisition: AcquisitionFunction
        if not constraints:
            acquisition = LogExpectedImprovement(surrogate.subset_output([target]), best_f=mean[:, target].max())
        elif not bool(within.any()):
            acquisition = LogProbabilityOfFeasibility(surrogate, constraints)
        else:
            best = mean[within, target].max()
            acquisition = LogConstrainedExpectedImprovement(surrogate, best, target, constraints)
        return acquisition


class LogEHVI:
    """The log of the expected hypervolume improvement, exact for independent targets (Yang et al. 2019; BoTorch).

    The reference point lies a tenth of the front's range below its worst values, or at the bound of an objective that has
    one: what breaks it improves nothing. Bounds of weight 0 multiply by the probability that they hold. While nothing is
    believed to be within all bounds, it is the probability of that.

    Args:
        front: What is to be improved on: ``"sampled"`` is one posterior sample of the contenders, drawn anew for every
            candidate, which estimates noisy EHVI (Daulton et al., NeurIPS 2021) at the price of EHVI; ``"mean"`` is what is
            believed of them.

    Raises:
        SpecError: ``front`` is another word.
    """

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
        columns = _several(goals, "ehvi")
        values = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        within = _within(values, _all_bounds(goals))
        if self._front == "sampled" and bool(within.any()):
            surrogate, values = _sampled(surrogate, surrogate.X[within], values[within][:, columns], seed=seed)
            within = _within(values, _all_bounds(goals))
        if not bool(within.any()):
            search: AcquisitionFunction = LogProbabilityOfFeasibility(surrogate, _all_bounds(goals))
            return search
        reference, Y = _reference_and_front(values, goals)
        cells = FastNondominatedPartitioning(ref_point=reference, Y=Y)
        model = surrogate.subset_output(columns)
        improvement = ExpectedHypervolumeImprovement(model, ref_point=reference.tolist(), partitioning=cells)
        constraints = _pure_constraints(goals)
        feasible = LogProbabilityOfFeasibility(surrogate, constraints) if constraints else None

        def value(X: Tensor) -> Tensor:
            out: Tensor = (improvement(X) + _TINY).log()
            return out if feasible is None else out + feasible(X)

        return value


class LogNEHVI:
    """Noisy expected hypervolume improvement by Monte Carlo (`qLogNoisyExpectedHypervolumeImprovement` of BoTorch).

    It integrates over what the front may be, which costs about ten times an exact `LogEHVI` on its mean. References and
    bounds are those of `LogEHVI`.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    def __init__(self, samples: int = 32) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:  # noqa: ARG002
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There is one objective only.
        """
        goals = observed.goals
        columns = _several(goals, "qlognehvi")
        mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        acquisition: AcquisitionFunction
        if not bool(_within(mean, _all_bounds(goals)).any()):
            acquisition = LogProbabilityOfFeasibility(surrogate, _all_bounds(goals))
            return acquisition
        limits = _pure_constraints(goals).items()
        constraints = [lambda Z, c=column, b=low: b - Z[..., c] for column, (low, _) in limits]
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=surrogate,
            ref_point=_reference_and_front(mean, goals)[0],
            X_baseline=surrogate.X[_contenders(mean[:, columns])],
            sampler=SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            objective=IdentityMCMultiOutputObjective(outcomes=columns, num_outcomes=mean.shape[-1]),
            constraints=constraints or None,
            prune_baseline=False,
            cache_root=False,
        )
        return acquisition


class Auto:
    """`LogEI` for one objective, `LogEHVI` for several."""

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        chosen = LogEI() if len(observed.goals.optimized) == 1 else LogEHVI()
        return chosen.build(surrogate, observed, pending=pending, seed=seed)


def _all_bounds(goals: Goals) -> dict[int, tuple[float, None]]:
    """Return target to lower bound."""
    return {column: (bound, None) for column, bound in goals.bounds.items()}


def _pure_constraints(goals: Goals) -> dict[int, tuple[float, None]]:
    """Return target to lower bound, for the targets that are not optimized themselves."""
    return {column: (bound, None) for column, bound in goals.bounds.items() if column not in goals.optimized}


def _within(mean: Tensor, constraints: dict[int, tuple[float, None]]) -> Tensor:
    """Say which of `n x m` believed values keep the constraints; a `n`-dim bool Tensor."""
    keep = torch.ones(len(mean), dtype=torch.bool)
    for column, (low, _) in constraints.items():
        keep &= mean[:, column] >= low
    return keep


def _reference_and_front(mean: Tensor, goals: Goals) -> tuple[Tensor, Tensor]:
    """Return the reference point of a hypervolume, and the believed values that lie above it and within the constraints.

    Args:
        mean: A `n x m`-dim Tensor of believed values, at least one within all bounds.
        goals: What is optimized, in that order, and the bounds.
    """
    Y = mean[_within(mean, _pure_constraints(goals))][:, list(goals.optimized)]
    front = Y[is_non_dominated(Y)]
    worst, best = front.min(dim=0).values, front.max(dim=0).values
    reference = worst - _MARGIN * torch.where(best > worst, best - worst, torch.ones_like(best))
    for position, column in enumerate(goals.optimized):
        if column in goals.bounds:
            reference[position] = goals.bounds[column]
    return reference, front[(front > reference).all(dim=-1)]


def _several(goals: Goals, name: str) -> list[int]:
    """Return the optimized targets.

    Raises:
        SpecError: There is one only.
    """
    if len(goals.optimized) < 2:
        raise SpecError(f"The acquisition {name!r} takes several objectives, not 1.", hint="Choose 'logei' or 'auto'.")
    return list(goals.optimized)


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
    sampler = IIDNormalSampler(torch.Size([1]), seed=seed)
    with torch.no_grad():
        values: Tensor = sampler(surrogate.posterior(chosen))[0]
    return surrogate.condition(chosen, values), values


def _contenders(Y: Tensor) -> Tensor:
    """Return the positions of the first fronts of `n x k` believed values, about twenty: what a noisy front is made of."""
    rest, chosen = torch.arange(len(Y)), torch.arange(0)
    while len(rest) and len(chosen) < _CONTENDERS:
        front = is_non_dominated(Y[rest])
        chosen, rest = torch.cat([chosen, rest[front]]), rest[~front]
    return chosen
