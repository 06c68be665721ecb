from __future__ import annotations

from collections.abc import Callable

import torch

from omniforge.search.bo.fit import Evidence, fit
from omniforge.search.bo.kernel import MixedKernel
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows


def test_the_gradient_is_that_of_finite_differences_and_a_fit_descends(
    rows: Rows, observe: Callable[[int], Observed]
) -> None:
    kernel, seen = MixedKernel(rows), observe(1)
    y = seen.Y[:, 0]
    evidence = Evidence(kernel, kernel.embed(seen.X), y=y, variance=torch.zeros_like(y))
    v = kernel.mean.clone()
    value, gradient = evidence.value_and_gradient(v)
    for i in range(len(v)):
        step = torch.zeros_like(v)
        step[i] = 1e-5
        rise = evidence.value_and_gradient(v + step)[0] - evidence.value_and_gradient(v - step)[0]
        assert abs(rise / 2e-5 - float(gradient[i])) < 1e-5
    found = fit(evidence, kernel, start=None)
    assert evidence.value_and_gradient(torch.tensor(found, dtype=torch.float64))[0] < value
    warm = fit(evidence, kernel, start=found)
    assert evidence.value_and_gradient(torch.tensor(warm, dtype=torch.float64))[0] <= value
