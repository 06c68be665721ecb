from __future__ import annotations

import torch

from omniforge.search.bo.surrogates.gaussian import gaussian


def test_blocks_become_the_joint_distribution_of_independent_targets() -> None:
    root = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = root @ root.transpose(-1, -2)
    mean = torch.arange(30.0, dtype=torch.float64).reshape(5, 3, 2)
    posterior = gaussian(mean, covariance)
    torch.testing.assert_close(posterior.mean, mean)
    torch.testing.assert_close(posterior.variance, covariance.diagonal(dim1=-2, dim2=-1).transpose(-1, -2))
    joint = posterior.distribution.covariance_matrix
    assert float(joint[:, :3, 3:].abs().max()) == 0.0
    torch.testing.assert_close(joint[:, 3:, 3:], covariance[:, 1], rtol=1e-6, atol=1e-6)


def test_one_row_needs_variances_only() -> None:
    posterior = gaussian(torch.zeros(4, 1, 2, dtype=torch.float64), torch.ones(4, 2, 1, 1, dtype=torch.float64) * 0.25)
    assert posterior.variance.shape == (4, 1, 2)
    assert bool((posterior.variance == 0.25).all())


def test_a_singular_covariance_can_be_sampled() -> None:
    posterior = gaussian(torch.zeros(4, 1, dtype=torch.float64), torch.ones(1, 4, 4, dtype=torch.float64))
    assert bool(torch.isfinite(posterior.rsample(torch.Size([3]))).all())
