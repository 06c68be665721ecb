"""The contracts of the five parts of Bayesian optimization; any combination of parts that keep them makes a strategy.

Shapes: `X` are rows of `Rows` (`n x d`), `Y` warped targets to maximize (`n x m`), `(b) x q x d` are batches of `q` rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .rows import IsNew, Rows
    from .warp import Goals

AcquisitionFunction = Callable[["Tensor"], "Tensor"]
"""Maps a `(b) x q x d`-dim Tensor to a `(b)`-dim one; larger is better; differentiable in the numeric columns."""


@dataclass(frozen=True)
class Observed:
    """What is known, for the surrogate and for acquisitions.

    Args:
        X: A `n x d`-dim Tensor of rows.
        Y: A `n x m`-dim Tensor of targets to maximize.
        goals: What the targets stand for.
        rows: What the columns of ``X`` stand for; None where nobody needs it.
        duration_s: A `n`-dim Tensor of seconds, NaN where unknown, or None.
        total: How many observations there are, of which ``X`` may be a selection; 0 stands for `n`.
        budget: How many evaluations are planned in all, or None.
        standstill: How many of the latest observations brought no considerable improvement, see `stagnation`.
        candidates: A `N x d`-dim Tensor of rows that stand for the space, for acquisitions that sample its optimum; the
            suggester sets it, None stands for ``X``.
    """

    X: Tensor
    Y: Tensor
    goals: Goals
    rows: Rows | None = None
    duration_s: Tensor | None = None
    total: int = 0
    budget: int | None = None
    standstill: int = 0
    candidates: Tensor | None = None

    @property
    def count(self) -> int:
        """The number of observations."""
        return self.total or len(self.X)

    @property
    def used(self) -> float:
        """The share of the budget that is used, in [0, 1]; a half while the budget is unknown."""
        return 0.5 if self.budget is None else min(1.0, self.count / self.budget)


class Surrogate(Protocol):
    """A probabilistic model of the targets."""

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,
        *,
        start: Sequence[Sequence[float]] = (),
        refit: bool = True,
    ) -> None:
        """Learn from observations.

        Args:
            X: A `n x d`-dim Tensor.
            Y: A `n x m`-dim Tensor.
            Yvar: A `n x m`-dim Tensor of known noise variances, or None.
            start: Hyperparameters of an earlier fit, per target.
            refit: Whether to improve on them; else they are taken as they are.

        Raises:
            RuntimeError: The numbers do not allow a fit.
        """

    @property
    def hyperparameters(self) -> list[list[float]]:
        """What a later fit can start from, per target."""

    @property
    def X(self) -> Tensor:  # noqa: N802 - rows are X everywhere
        """The rows it was conditioned on."""

    def posterior(self, X: Tensor) -> Any:
        """Return a BoTorch posterior over a `(b) x q x d`-dim Tensor, without observation noise."""

    def condition(self, X: Tensor, Y: Tensor) -> Surrogate:
        """Return a surrogate that also knows `q x d` and `q x m`-dim Tensors, with the same hyperparameters."""

    def subset_output(self, idcs: Sequence[int]) -> Surrogate:
        """Return a surrogate of some of the targets, in that order."""


class Acquisition(Protocol):
    """What is worth evaluating next, given a surrogate.

    An acquisition may say more by attributes, all optional: ``logarithmic`` (its function is the log of a value that is not
    negative, so that weights and probabilities are added to it; false by default), a method ``joint()`` that returns an
    acquisition whose function takes several rows at once, a method ``declines(observed) -> bool`` that says whether its
    function falls everywhere once the surrogate also knows a row with the value that it expected there, and a method
    ``explores(standstill, pending=0) -> bool`` that says whether it looks away from the best in that situation.
    """

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize.

        Args:
            surrogate: Conditioned on the observations, and on what the suggester believes of the pending rows.
            observed: The observations and the goals.
            pending: A `p x d`-dim Tensor of rows under evaluation; those that the surrogate does not know yet are for
                acquisitions that can take them into account.
            seed: Of sampled acquisitions.
        """


class CandidateGenerator(Protocol):
    """Where the optimization of an acquisition starts."""

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return about ``count`` rows of valid configurations, a `n x d`-dim Tensor."""


class AcquisitionOptimizer(Protocol):
    """How an acquisition is maximized over a mixed and conditional space.

    An optimizer that looks at every configuration of some spaces says so by an optional method ``lists(rows) -> bool``;
    no candidates are generated for it then. A function with the attribute ``declining`` is nowhere larger than the one that
    the same optimizer maximized before, which spares it most rows.
    """

    def maximize(
        self,
        acquisition: AcquisitionFunction,
        rows: Rows,
        *,
        candidates: Tensor,
        is_new: IsNew,
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the row of the best new configuration found, a `1 x d`-dim Tensor; `0 x d` when none is new."""


@dataclass(frozen=True)
class Search:
    """What one ask works with."""

    rows: Rows
    observed: Observed
    surrogate: Surrogate
    acquisition: Acquisition
    optimizer: AcquisitionOptimizer
    generator: CandidateGenerator
    is_new: IsNew
    rng: np.random.Generator


class Suggester(Protocol):
    """How several rows are chosen while others are under evaluation."""

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different rows, a `q x d`-dim Tensor, given a `p x d`-dim Tensor of pending ones."""
