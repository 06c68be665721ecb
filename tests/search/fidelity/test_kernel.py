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
    return CurveKernel(Rows(SPACE), levels=3)


def points(kernel: CurveKernel, X: torch.Tensor, owner: list[int], level: list[int], *, new: bool = False) -> Points:
    identity = torch.full((len(X),), -1) if new else torch.arange(len(X))
    return Points(kernel.embed(X), torch.tensor(owner), torch.tensor(level), identity)


def test_covariances_are_symmetric_and_positive(kernel: CurveKernel) -> None:
    rng = torch.Generator().manual_seed(0)
    X = Rows(SPACE).encode(SPACE.sample_many(12, np.random.default_rng(0)))
    A = points(kernel, X, list(range(12)) * 3, [i // 12 for i in range(36)])
    for _ in range(5):
        v = kernel.mean + kernel.std * torch.randn(len(kernel.mean), generator=rng, dtype=torch.float64)
        K = kernel(v, A, A)
        torch.testing.assert_close(K, K.T)
        assert float(torch.linalg.eigvalsh(K).min()) > -1e-8
        torch.testing.assert_close(K.diagonal(), kernel.pairs(v, A.level, A.level))


def test_a_curve_shares_more_with_itself_than_with_an_equal_configuration(kernel: CurveKernel) -> None:
    X = Rows(SPACE).encode([SPACE.default(), SPACE.default()])
    A = points(kernel, X, [0, 0, 1], [1, 2, 1])
    K = kernel(kernel.mean, A, A)
    assert float(K[1, 0]) > float(K[1, 2])
    fresh = kernel(kernel.mean, points(kernel, X[:1], [0], [2], new=True), A)
    assert float(fresh[0, 0]) == pytest.approx(float(K[1, 2]))


def test_levels_are_a_chain(kernel: CurveKernel) -> None:
    X = Rows(SPACE).encode([SPACE.default()])
    A = points(kernel, X, [0, 0, 0], [0, 1, 2])
    K = kernel(kernel.mean, A, A)
    deviation = K.diagonal().sqrt()
    correlation = K / deviation[:, None] / deviation
    assert 1.0 > float(correlation[0, 1]) > float(correlation[0, 2]) > 0.0
    assert float(kernel.noise(kernel.mean)) > 0.0


def test_a_level_that_says_nothing_is_cut_off_by_one_number(kernel: CurveKernel) -> None:
    X = Rows(SPACE).encode([SPACE.default()])
    A = points(kernel, X, [0, 0, 0], [0, 1, 2])
    v = kernel.mean.clone()
    v[-7] = 0.0  # the gain from the first level to the second: two gains, two scales of news and three more numbers
    K = kernel(v, A, A)
    torch.testing.assert_close(K[0, 1:], torch.zeros(2, dtype=torch.float64))
    assert float(K[1, 2]) > 0.1


def test_one_level_is_a_kernel_of_configurations() -> None:
    kernel = CurveKernel(Rows(SPACE), levels=1)
    X = Rows(SPACE).encode([SPACE.default()])
    A = points(kernel, X, [0], [0])
    torch.testing.assert_close(kernel(kernel.mean, A, A)[0], kernel.pairs(kernel.mean, A.level, A.level))
