"""Several objectives as one: the augmented Chebyshev function with random weights, and the acquisition ``parego``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from ...strategy import check_integer
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from .belief import all_bounds, feasibility, sampled_bounds, the_targets, unknown, within

_AUGMENTATION = 0.05


class ParEGO:
    """Log expected improvement of a random scalarization, another one for every candidate (Knowles 2006), by Monte Carlo.

    The surrogate models the objectives, and their samples are scalarized (qParEGO of Daulton et al., NeurIPS 2020), so that
    bounds are constraints of the samples. The cost grows linearly with the objectives, unlike that of a hypervolume.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    logarithmic = True

    def __init__(self, samples: int = 64) -> None:
        self._samples = check_integer(samples, "samples", low=1)

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`.

        Raises:
            SpecError: There is one objective only.
        """
        goals = observed.goals
        columns = the_targets(goals, "parego")
        mean = surrogate.posterior(surrogate.X[:, None]).mean[:, 0].detach()
        keep = within(mean, all_bounds(goals))
        if not bool(keep.any()):
            feasible = feasibility(surrogate, all_bounds(goals))
            return lambda X: feasible(X.reshape(-1, 1, X.shape[-1])).reshape(X.shape[:-1]).sum(-1)
        scalar = chebyshev(mean[:, columns], seed=seed)
        acquisition: AcquisitionFunction = qLogExpectedImprovement(
            surrogate,
            scalar(mean[keep][:, columns]).max(),
            sampler=SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            objective=GenericMCObjective(lambda Z, X=None: scalar(Z[..., columns])),  # noqa: ARG005 - BoTorch passes X
            X_pending=unknown(surrogate, pending),
            constraints=sampled_bounds(all_bounds(goals)),
        )
        return acquisition

    def joint(self) -> Acquisition:
        """Return itself: it takes several rows."""
        return self


def chebyshev(Y: Tensor, *, seed: int) -> Callable[[Tensor], Tensor]:
    """Return a random augmented Chebyshev function (Knowles 2006, equation 2), to be maximized.

    Args:
        Y: `n x k`-dim believed values, whose ranges are the units of the objectives.
        seed: Of the weights, uniform on the simplex.

    Returns:
        A function from `(b) x k`-dim values to `(b)`-dim ones.
    """
    clocks = (
        -torch.rand(Y.shape[1], generator=torch.Generator().manual_seed(seed), dtype=Y.dtype).clamp_min(1e-12).log()
    )
    weights = clocks / clocks.sum()
    low, high = Y.min(0).values, Y.max(0).values
    span = torch.where(high > low, high - low, torch.ones_like(low))

    def scalar(values: Tensor) -> Tensor:
        short = weights * (high - values) / span
        return -(short.amax(-1) + _AUGMENTATION * short.sum(-1))

    return scalar
