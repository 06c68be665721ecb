"""What a surrogate believes of the rows that it knows, and bounds as factors of an acquisition. No acquisition itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from botorch.acquisition.analytic import LogProbabilityOfFeasibility
from botorch.sampling.normal import IIDNormalSampler
from torch import Tensor

from ..parts import AcquisitionFunction, Observed, Surrogate
from ..warp import Goals

Bounds = dict[int, tuple[float, None]]


@dataclass(frozen=True)
class Belief:
    """What is believed of the rows that a surrogate is conditioned on.

    Args:
        mean: A `n x m`-dim Tensor.
        bounds: Target to its least acceptable value.
        within: Which rows are believed to keep them; a `n`-dim bool Tensor.
    """

    mean: Tensor
    bounds: Bounds
    within: Tensor

    def best(self, target: int) -> Tensor:
        """Return the largest believed value of a target among the rows within the bounds."""
        return self.mean[self.within, target].max()


def believe(surrogate: Surrogate, bounds: Bounds) -> Belief:
    """Return what is believed of the rows that a surrogate knows."""
    mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
    return Belief(mean, bounds, within(mean, bounds))


def all_bounds(goals: Goals) -> Bounds:
    """Return target to lower bound."""
    return {column: (bound, None) for column, bound in goals.bounds.items()}


def pure_bounds(goals: Goals) -> Bounds:
    """Return target to lower bound, of targets that are not optimized.

    A bound on the only objective does not change which configuration is best.
    """
    return {column: (bound, None) for column, bound in goals.bounds.items() if column not in goals.optimized}


def within(mean: Tensor, bounds: Bounds) -> Tensor:
    """Say which of `n x m` believed values keep the bounds; a `n`-dim bool Tensor."""
    keep = torch.ones(len(mean), dtype=torch.bool)
    for column, (low, _) in bounds.items():
        keep &= mean[:, column] >= low
    return keep


def feasibility(surrogate: Surrogate, bounds: Bounds) -> AcquisitionFunction:
    """Return the log of the probability that all bounds hold in a row, the sum over rows that are taken together."""
    made = LogProbabilityOfFeasibility(surrogate, bounds)

    def of_all(X: Tensor) -> Tensor:
        found: Tensor = made(X.reshape(-1, 1, X.shape[-1])).reshape(X.shape[:-1]).sum(-1)
        return found

    return of_all


def limited(function: AcquisitionFunction, surrogate: Surrogate, bounds: Bounds) -> AcquisitionFunction:
    """Return the log of a value times the probability that the bounds hold; the function itself without bounds."""
    if not bounds:
        return function
    feasible = feasibility(surrogate, bounds)
    return like(function, lambda X: function(X) + feasible(X))


def sampled_bounds(bounds: Bounds) -> list[Callable[[Tensor], Tensor]] | None:
    """Return the bounds as BoTorch's Monte Carlo acquisitions take them: functions of samples, below 0 where they hold."""

    def short(column: int, low: float) -> Callable[[Tensor], Tensor]:
        return lambda Z: low - Z[..., column]

    return [short(column, low) for column, (low, _) in bounds.items()] or None


def draw(surrogate: Surrogate, X: Tensor, *, count: int, seed: int) -> Tensor:
    """Return joint posterior samples of `n x d` rows, a `count x n x m`-dim Tensor."""
    sampler = IIDNormalSampler(torch.Size([count]), seed=seed)
    with torch.no_grad():
        samples: Tensor = sampler(surrogate.posterior(X))
    return samples


def stand_in(observed: Observed, surrogate: Surrogate, *, most: int) -> Tensor:
    """Return rows that stand for the space and for what is best of the known: `N x d`, all different.

    Args:
        observed: Its candidates stand for the space.
        surrogate: Knows the best rows: half of ``most`` at most come from there.
        most: The number of rows.
    """
    with torch.no_grad():
        mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0]
    value = mean[:, list(observed.goals.optimized)].sum(-1)
    known = surrogate.X[torch.argsort(value, descending=True, stable=True)[: max(1, most // 2)]]
    if observed.candidates is not None:
        known = torch.cat([known, observed.candidates[: most - len(known)]])
    distinct: Tensor = torch.unique(known, dim=0)
    return distinct


@dataclass(frozen=True)
class Costly:
    """A function that costs many posteriors a row, so that optimizers ask for fewer rows.

    Args:
        function: What it computes.
    """

    function: AcquisitionFunction
    costly = True

    def __call__(self, X: Tensor) -> Tensor:
        """Return the function of a `(b) x q x d`-dim Tensor."""
        return self.function(X)


def like(inner: AcquisitionFunction, outer: AcquisitionFunction) -> AcquisitionFunction:
    """Return a function that calls another one as costly as that one is."""
    return Costly(outer) if getattr(inner, "costly", False) else outer
