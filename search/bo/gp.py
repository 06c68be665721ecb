"""The surrogate ``gp``: independent Gaussian processes with the mixed kernel, as a BoTorch model.

A class of its own rather than `SingleTaskGP`, because a task can take 0.2 s: a fit and a posterior here cost a few
milliseconds of matrix products, all targets at once, while everything of BoTorch that takes a model still works on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .fit import JITTER, Evidence, fit
from .input_kernel import kernel_for
from .kernel import MixedKernel
from .rows import Rows
from .surrogates.gaussian import MIN_VARIANCE
from .surrogates.posterior_model import PosteriorModel, check_finite


class GaussianProcess(PosteriorModel):
    """Gaussian processes over the rows of a space, one per target.

    Args:
        rows: The space's rows.
        inactive: Where the kernel puts what is not active: ``"neutral"`` or ``"arc"``; see `input_kernel`.
        warping: Whether a warping of the numeric columns is learned.

    Raises:
        SpecError: ``inactive`` is another word.
    """

    def __init__(self, rows: Rows, inactive: str = "neutral", warping: bool = False) -> None:
        super().__init__()
        self._kernel: MixedKernel = kernel_for(rows, inactive=inactive, warping=warping)
        self._v = torch.empty(0)
        self._X = self._Y = self._variance = torch.empty(0)

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
        check_finite(Y, "Gaussian process")
        variance = torch.zeros_like(Y) if Yvar is None else Yvar
        found = [list(vector) for vector in start]
        if refit or len(found) != Y.shape[1] or any(len(vector) != len(self._kernel.mean) for vector in found):
            rows = self._kernel.embed(X)
            found = []
            for column in range(Y.shape[1]):
                evidence = Evidence(self._kernel, rows, y=Y[:, column], variance=variance[:, column])
                earlier = start[column] if column < len(start) else None
                found.append(fit(evidence, self._kernel, start=earlier))
        self._v = torch.tensor(found, dtype=torch.float64)
        self._know(X, Y, variance)

    def _know(self, X: Tensor, Y: Tensor, variance: Tensor) -> None:
        """Factorize the covariance of `n x d` rows."""
        self._X, self._Y, self._variance = X, Y, variance
        self._rows = self._kernel.embed(X)
        K = self._kernel(self._v, self._rows, self._rows)
        noise = self._kernel.scalars(self._v)[2][..., 0]
        factor = torch.linalg.cholesky(K + torch.diag_embed(variance.T + noise + JITTER))
        eye = torch.eye(len(X), dtype=torch.float64).expand_as(factor)
        # the inverse factor turns every posterior into matrix products
        self._inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        self._alpha = torch.cholesky_solve(Y.T[..., None], factor)

    @property
    def hyperparameters(self) -> list[list[float]]:
        """The vectors of the kernel, per target."""
        found: list[list[float]] = self._v.tolist()
        return found

    @property
    def num_outputs(self) -> int:
        """The number of targets."""
        return int(self._v.shape[0])

    def mean_and_variance(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the marginal posterior of `N x d` rows as two `N x m`-dim Tensors."""
        cross = self._kernel(self._v, self._kernel.embed(X), self._rows)
        mean = (cross @ self._alpha).squeeze(-1)
        reduced = cross @ self._inverse.transpose(-1, -2)
        variance = self._kernel.diagonal(self._v).squeeze(-1) - (reduced * reduced).sum(-1)
        return mean.T, variance.clamp_min(MIN_VARIANCE).T

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance at a `(b) x q x d`-dim Tensor; see `PosteriorModel.moments`."""
        batch, q, m = X.shape[:-2], X.shape[-2], self.num_outputs
        if q == 1:
            mean, variance = self.mean_and_variance(X.reshape(-1, X.shape[-1]))
            return mean.reshape(*batch, 1, m), variance.reshape(*batch, m, 1, 1)
        rows = self._kernel.embed(X.reshape(-1, q, X.shape[-1]))
        v = self._v[:, None]
        cross = self._kernel(v, rows, self._rows)
        mean = (cross @ self._alpha[:, None]).squeeze(-1)
        reduced = cross @ self._inverse[:, None].transpose(-1, -2)
        blocks = self._kernel(v, rows, rows) - reduced @ reduced.transpose(-1, -2)
        return mean.permute(1, 2, 0).reshape(*batch, q, m), blocks.transpose(0, 1).reshape(*batch, m, q, q)

    def condition(self, X: Tensor, Y: Tensor) -> GaussianProcess:
        """Return a model with the same hyperparameters that also knows `q x d` rows and their `q x m` targets."""
        variance = torch.cat([self._variance, torch.zeros_like(Y)])
        return self._like(self._v, torch.cat([self._X, X]), Y=torch.cat([self._Y, Y]), variance=variance)

    def subset_output(self, idcs: Sequence[int]) -> GaussianProcess:
        """Return a model of some of the targets."""
        columns = list(idcs)
        if columns == list(range(self.num_outputs)):
            return self
        return self._like(self._v[columns], self._X, Y=self._Y[:, columns], variance=self._variance[:, columns])

    def _like(self, v: Tensor, X: Tensor, *, Y: Tensor, variance: Tensor) -> GaussianProcess:
        other = GaussianProcess.__new__(GaussianProcess)
        super(GaussianProcess, other).__init__()
        other._kernel, other._v = self._kernel, v
        other._know(X, Y, variance)
        return other
