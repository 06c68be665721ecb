"""Means and covariances as a BoTorch posterior. Knows nothing of the models that they come from."""

from __future__ import annotations

import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
from linear_operator.operators import DenseLinearOperator, DiagLinearOperator
from torch import Tensor

MIN_VARIANCE = 1e-10


def gaussian(mean: Tensor, covariance: Tensor) -> GPyTorchPosterior:
    """Return the Gaussian posterior of independent targets.

    Args:
        mean: A `(b) x q x m`-dim Tensor.
        covariance: A `(b) x m x q x q`-dim Tensor, one positive semidefinite block per target; with `q = 1` no joint
            distribution is needed and it is taken as variances.
    """
    q, m = mean.shape[-2:]
    batch = mean.shape[:-2]
    operator: DenseLinearOperator | DiagLinearOperator
    if q == 1:
        operator = DiagLinearOperator(covariance.reshape(*batch, m).clamp_min(MIN_VARIANCE))
    else:
        joint = torch.zeros(*batch, m, q, m, q, dtype=mean.dtype)
        for target in range(m):
            joint[..., target, :, target, :] = covariance[..., target, :, :]
        scale = covariance.detach().diagonal(dim1=-2, dim2=-1).amax(dim=(-1, -2))[..., None, None]
        jitter = (MIN_VARIANCE + 1e-8 * scale) * torch.eye(m * q, dtype=mean.dtype)
        operator = DenseLinearOperator(joint.reshape(*batch, m * q, m * q) + jitter)
    if m == 1:
        return GPyTorchPosterior(MultivariateNormal(mean.squeeze(-1), operator))
    return GPyTorchPosterior(MultitaskMultivariateNormal(mean, operator, interleaved=False))
