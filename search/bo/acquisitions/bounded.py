"""What acquisitions share that heed bounds: what they are built from, and feasibility where nothing is within. None itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import AcquisitionFunction, Observed, Surrogate
from ..warp import Goals
from .belief import Belief, all_bounds, believe, feasibility, limited, pure_bounds

LARGEST = 1e9
"""The most that weights and margins can be: far more than is of use, and a number to compute with."""


@dataclass(frozen=True)
class Setting:
    """What one function is built from.

    Args:
        surrogate: Of all targets.
        observed: What is known.
        belief: What the surrogate believes of the rows that it knows; some of them are within the bounds.
        pending: A `p x d`-dim Tensor of rows under evaluation.
        seed: Of what is sampled.
    """

    surrogate: Surrogate
    observed: Observed
    belief: Belief
    pending: Tensor
    seed: int

    @property
    def targets(self) -> list[int]:
        """The optimized targets."""
        return list(self.observed.goals.optimized)

    @property
    def target(self) -> int:
        """The first of them."""
        return self.targets[0]

    @property
    def best(self) -> Tensor:
        """The largest believed value of it within the bounds."""
        return self.belief.best(self.target)

    @property
    def model(self) -> Surrogate:
        """The surrogate of the optimized targets alone."""
        return self.surrogate.subset_output(self.targets)

    @property
    def waiting(self) -> Tensor | None:
        """The pending rows that the surrogate is not conditioned on; None when there are none."""
        if not len(self.pending):
            return None
        known = (self.pending[:, None] == self.surrogate.X[None]).all(-1).any(-1)
        return None if bool(known.all()) else self.pending[~known]

    def limited(self, function: AcquisitionFunction) -> AcquisitionFunction:
        """Return the log of a value times the probability that the bounds hold; the function itself without bounds."""
        return limited(function, self.surrogate, self.belief.bounds)


class Bounded(ABC):
    """An acquisition for one objective, or for several, that is worth the probability of the bounds while none are kept.

    A subclass says how it is called and, in `_function`, what a row is worth once something is believed to be within all
    bounds.

    Attributes:
        name: Of the acquisition, for messages.
        several: Whether it takes several objectives, or one.
        logarithmic: Whether its function is a log; see `Acquisition`.
    """

    name: ClassVar[str]
    several: ClassVar[bool] = False
    logarithmic: ClassVar[bool] = True

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: It takes another number of objectives.
        """
        goals = observed.goals
        self._check(goals)
        belief = believe(surrogate, all_bounds(goals) if self.several else pure_bounds(goals))
        if not bool(belief.within.any()):
            return feasibility(surrogate, belief.bounds)
        return self._function(Setting(surrogate, observed, belief, pending, seed=seed))

    @abstractmethod
    def _function(self, given: Setting) -> AcquisitionFunction:
        """Return the function to maximize where something is believed to be within the bounds."""

    def _check(self, goals: Goals) -> None:
        if self.several and len(goals.optimized) < 2:
            problem = f"The acquisition {self.name!r} takes several objectives, not 1."
            raise SpecError(problem, hint="Choose 'logei' or 'auto'.")
        if not self.several and len(goals.optimized) != 1:
            problem = f"The acquisition {self.name!r} takes one objective, not {len(goals.optimized)}."
            raise SpecError(problem, hint="Choose 'ehvi', 'qlognehvi' or 'parego', or leave the choice to 'auto'.")


class MonteCarlo(Bounded):
    """One by quasi-random samples of the posterior, which takes several rows at once and integrates over pending ones.

    Args:
        samples: At least 1.
    """

    def __init__(self, samples: int = 64) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def joint(self) -> Self:
        """Return itself: it takes several rows."""
        return self

    def _sampler(self, given: Setting) -> SobolQMCNormalSampler:
        return SobolQMCNormalSampler(torch.Size([self._samples]), seed=given.seed)

    @staticmethod
    def _of_samples(given: Setting) -> GenericMCObjective:
        """Return the objective of samples of all targets."""
        return GenericMCObjective(lambda Z, X=None: Z[..., given.target])  # noqa: ARG005 - BoTorch passes X
