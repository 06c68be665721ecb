"""Several objectives as one: the augmented Chebyshev function with random weights, and the acquisition ``parego``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from torch import Tensor

from ..parts import AcquisitionFunction
from .belief import sampled_bounds
from .bounded import MonteCarlo, Setting

_AUGMENTATION = 0.05


class ParEGO(MonteCarlo):
    """Log expected improvement of a random scalarization, another one for every candidate (Knowles 2006), by Monte Carlo.

    The surrogate models the objectives, and their samples are scalarized (qParEGO of Daulton et al., NeurIPS 2020), so that
    bounds are constraints of the samples. The cost grows linearly with the objectives, unlike that of a hypervolume.

    Args:
        samples: Quasi-random samples, at least 1.
    """

    name = "parego"
    several = True

    def _function(self, given: Setting) -> AcquisitionFunction:
        mean, columns = given.belief.mean, given.targets
        scalar = chebyshev(mean[:, columns], seed=given.seed)
        acquisition: AcquisitionFunction = qLogExpectedImprovement(
            given.surrogate,
            scalar(mean[given.belief.within][:, columns]).max(),
            sampler=self._sampler(given),
            objective=GenericMCObjective(lambda Z, X=None: scalar(Z[..., columns])),  # noqa: ARG005 - BoTorch passes X
            X_pending=given.waiting,
            constraints=sampled_bounds(given.belief.bounds),
        )
        return acquisition


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
