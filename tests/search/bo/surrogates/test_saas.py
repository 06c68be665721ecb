from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conformance.surrogate_suite import MIXED, SurrogateSuite

from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.surrogates.saas import Saas, SparseKernel


class TestSaas(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: Saas(rows, members=2)


@pytest.mark.oracle
def test_the_penalty_has_the_gradient_of_its_value() -> None:
    kernel = SparseKernel(Rows(MIXED), tau=0.1)
    v = kernel.mean + torch.linspace(-0.7, 0.9, len(kernel.mean), dtype=torch.float64)
    _, slope = kernel.penalty(v)
    for i in range(len(v)):
        step = torch.zeros_like(v)
        step[i] = 1e-6
        rise = (kernel.penalty(v + step)[0] - kernel.penalty(v - step)[0]) / 2e-6
        assert float(slope[i]) == pytest.approx(rise, abs=1e-6)


def test_it_finds_the_columns_that_matter() -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(20)})
    rows = Rows(space)
    X = torch.rand(30, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    Y = torch.sin(6.0 * X[:, 3:4])
    made = Saas(rows)
    made.fit(X, (Y - Y.mean()) / Y.std())
    scales = torch.tensor(made._members[0].hyperparameters[0][:20])
    assert int(scales.argmin()) == 3
    assert float(scales[3]) < float(scales[[i for i in range(20) if i != 3]].min()) - 1.0
