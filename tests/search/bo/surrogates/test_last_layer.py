from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conformance.surrogate_suite import SurrogateSuite

from omniforge.search.bo.rows import Rows
from omniforge.search.bo.surrogates.last_layer import Ensemble, dngo, regress


class TestEnsemble(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: Ensemble(rows, networks=4, units=16, steps=80)


class TestDngo(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: dngo(rows, units=16, layers=2, steps=80)


@pytest.mark.oracle
def test_the_regression_is_that_of_the_dense_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)
    Y = features @ torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    Y = Y + 0.1 * torch.randn(2, 30, generator=generator, dtype=torch.float64)
    known = torch.ones_like(Y)
    known[:, 25:] = 0.0
    center, root, precisions = regress(features, Y, known)
    for k in range(2):
        weight, noise = precisions[k].tolist()
        A = features[k, :25]
        covariance = torch.linalg.inv(weight * torch.eye(4, dtype=torch.float64) + noise * A.T @ A)
        torch.testing.assert_close(root[k] @ root[k].T, covariance)
        torch.testing.assert_close(center[k], noise * covariance @ A.T @ Y[k, :25])
        assert noise == pytest.approx(100.0, rel=0.6)
