"""Minimization of a smooth function within a box, by scipy's L-BFGS-B. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

WORST = 1e10
"""Stands for values that are not finite, which a line search cannot step over."""


def descend(
    function: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, *, low: Tensor, high: Tensor, steps: int
) -> tuple[Tensor, float]:
    """Return the lowest point found and its value.

    Args:
        function: Returns value and gradient at a `p`-dim float64 Tensor.
        start: Where to begin, a `p`-dim Tensor.
        low: The lower ends, `p`-dim.
        high: The upper ends, `p`-dim.
        steps: The most iterations.
    """

    def objective(
        v: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> tuple[float, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        value, gradient = function(torch.from_numpy(v))
        if not np.isfinite(value):
            return WORST, np.zeros(len(v))
        return value, np.nan_to_num(gradient.detach().numpy()).reshape(len(v))

    bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    first = start.detach().numpy().reshape(len(start))
    found = minimize(
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps, "ftol": 1e-5, "gtol": 1e-4},
    )
    return torch.from_numpy(np.asarray(found.x, dtype=np.float64)), float(found.fun)
