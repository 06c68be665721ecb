"""The surrogate ``saas``: Gaussian processes that believe that few columns matter, for many dimensions and few observations.

The sparse axis-aligned subspace prior of Eriksson and Jankowiak (UAI 2021, section 4.1): the inverse squared length scale of a
column is half-Cauchy with the global shrinkage ``tau``, which is half-Cauchy itself. Instead of sampling all of them by NUTS,
which takes minutes, ``tau`` is fixed at quantiles of its prior, the rest is fitted by maximum a posteriori, and the posterior
has the moments of the mixture (as the MAP ensembles of BoTorch do with random draws of ``tau``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...strategy import check_integer
from ..gp import GaussianProcess
from ..kernel import MixedKernel
from ..rows import Rows
from .posterior_model import PosteriorModel

_GLOBAL = 0.1


class SparseKernel(MixedKernel):
    """The mixed kernel with the prior of few columns that matter.

    Args:
        rows: The space's rows.
        tau: The global shrinkage, above 0: about the inverse squared length scale of a column that does not matter.
    """

    def __init__(self, rows: Rows, *, tau: float) -> None:
        super().__init__(rows)
        self._log_tau = math.log(tau)
        self.mean[: self._n] = -0.5 * self._log_tau
        self.mean[self._n : self._n + self._c] = self._log_tau

    def penalty(self, v: Tensor) -> tuple[float, Tensor]:
        """Return the negative log density of the prior; see `MixedKernel.penalty`.

        With ``u`` the log of an inverse squared length scale over ``tau``, the half-Cauchy density of it is ``1 / (2 cosh u)``.
        """
        ends = self._n + self._c
        sign = torch.ones(ends, dtype=v.dtype)
        sign[: self._n] = -2.0
        u = sign * v[:ends] - self._log_tau
        rest = (v[ends:] - self.mean[ends:]) / self.std[ends:]
        value = float(torch.logaddexp(u, -u).sum() + 0.5 * (rest @ rest))
        return value, torch.cat([sign * torch.tanh(u), rest / self.std[ends:]])


class SparseProcess(GaussianProcess):
    """Gaussian processes with the sparse kernel, one per target.

    Args:
        rows: The space's rows.
        tau: The global shrinkage.
    """

    def __init__(self, rows: Rows, *, tau: float) -> None:
        super().__init__(rows)
        self._kernel = SparseKernel(rows, tau=tau)


class Saas(PosteriorModel):
    """A mixture of sparse Gaussian processes with different global shrinkage.

    Args:
        rows: The space's rows.
        members: How many values of the global shrinkage, at least 1.
    """

    def __init__(self, rows: Rows, members: int = 3) -> None:
        super().__init__()
        count = check_integer(members, "members", low=1)
        levels = [(i + 0.5) / count for i in range(count)]
        self._members: list[GaussianProcess] = [
            SparseProcess(rows, tau=_GLOBAL * math.tan(0.5 * math.pi * level)) for level in levels
        ]

    def fit(
        self,
        X: Tensor,
        Y: Tensor,
        Yvar: Tensor | None = None,
        *,
        start: Sequence[Sequence[float]] = (),
        refit: bool = True,
    ) -> None:
        """Learn from observations; see `Surrogate.fit`.

        Raises:
            RuntimeError: The targets are not finite, or a covariance is not positive definite.
        """
        count = len(self._members)
        for i, member in enumerate(self._members):
            own = [vector[i * len(vector) // count : (i + 1) * len(vector) // count] for vector in start]
            member.fit(X, Y, Yvar, start=own, refit=refit)

    @property
    def hyperparameters(self) -> list[list[float]]:
        """Those of the members one after the other, per target."""
        found = [member.hyperparameters for member in self._members]
        return [[number for vectors in found for number in vectors[target]] for target in range(self.num_outputs)]

    @property
    def X(self) -> Tensor:  # noqa: N802 - rows are X everywhere
        """The `n x d`-dim Tensor of rows it is conditioned on."""
        return self._members[0].X

    @property
    def num_outputs(self) -> int:
        """The number of targets."""
        return self._members[0].num_outputs

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of the mixture; see `PosteriorModel.moments`."""
        parts = [_moments(member, X) for member in self._members]
        means = torch.stack([mean for mean, _ in parts])
        mean = means.mean(dim=0)
        off = (means - mean).movedim(0, -1).transpose(-2, -3)  # (b) x m x q x members
        between = off @ off.transpose(-1, -2) / len(parts)
        within: Tensor = torch.stack([covariance for _, covariance in parts]).mean(dim=0)
        return mean, within + between

    def condition(self, X: Tensor, Y: Tensor) -> Saas:
        """Return a mixture whose members also know `q x d` rows and their `q x m` targets."""
        return _mixture([member.condition(X, Y) for member in self._members])

    def subset_output(self, idcs: Sequence[int]) -> Saas:
        """Return a mixture of some of the targets."""
        return _mixture([member.subset_output(idcs) for member in self._members])


def _mixture(members: list[GaussianProcess]) -> Saas:
    other = Saas.__new__(Saas)
    torch.nn.Module.__init__(other)
    other._members = members
    return other


def _moments(member: GaussianProcess, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean, `(b) x q x m`, and the covariance, `(b) x m x q x q`, of one Gaussian process."""
    batch, q, m = X.shape[:-2], X.shape[-2], member.num_outputs
    if q == 1:
        mean, variance = member.mean_and_variance(X.reshape(-1, X.shape[-1]))
        return mean.reshape(*batch, 1, m), variance.reshape(*batch, m, 1, 1)
    posterior = member.posterior(X)
    covariance = posterior.distribution.covariance_matrix.reshape(*batch, m, q, m, q)
    blocks = torch.stack([covariance[..., target, :, target, :] for target in range(m)], dim=-3)
    return posterior.mean, blocks
