from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.fidelity.kernel import CurveKernel, Points

SPACE = SearchSpace.from_yaml(
    "k: {type: choice, range: {a, b}, submodule: {a: {z: {type: float, range: [0.0, 1.0]}}}}\nx: {type: int, range: [1, 9]}"
)


@pytest.fixture
def kernel() -> CurveKernel:
    return CurveKernel(Rows(SPACE))


def points(kernel: CurveKernel, X: torch.Tensor, owner: list[int], u: list[float], *, new: bool = False) -> Points:
    identity = torch.full((len(X),), -1) if new else torch.arange(len(X))
    return Points(kernel.embed(X), torch.tensor(owner), torch.tensor(u, dtype=torch.float64), identity)


def test_covariances_are_symmetric_and_positive(kernel: CurveKernel) -> None:
    rng = torch.Generator().manual_seed(0)
    X = Rows(SPACE).encode(SPACE.sample_many(12, np.random.default_rng(0)))
    A = points(kernel, X, list(range(12)) * 3, torch.rand(36, generator=rng).tolist())
    for _ in range(5):
        v = kernel.mean + kernel.std * torch.randn(len(kernel.mean), generator=rng, dtype=torch.float64)
        K = kernel(v, A, A)
        torch.testing.assert_close(K, K.T)
        assert float(torch.linalg.eigvalsh(K).min()) > -1e-8
        torch.testing.assert_close(K.diagonal(), kernel.pairs(v, A.u, A.u))


def test_a_curve_is_nearer_to_itself_than_to_an_equal_configuration(kernel: CurveKernel) -> None:
    X = Rows(SPACE).encode([SPACE.default(), SPACE.default()])
    A = points(kernel, X, [0, 0, 1], [0.2, 0.6, 0.6])
    K = kernel(kernel.mean, A, A)
    assert float(K[0, 1]) > float(K[0, 2])
    fresh = kernel(kernel.mean, points(kernel, X[:1], [0], [0.6], new=True), A)
    assert float(fresh[0, 0]) == pytest.approx(float(K[0, 2]))


def test_the_further_in_fidelity_the_less_is_shared(kernel: CurveKernel) -> None:
    X = Rows(SPACE).encode([SPACE.default()])
    A = points(kernel, X, [0, 0, 0], [0.0, 0.5, 1.0])
    row = kernel(kernel.mean, A, A)[2]
    assert float(row[2]) > float(row[1]) > float(row[0]) > 0.0
    assert float(kernel.noise(kernel.mean)) > 0.0
