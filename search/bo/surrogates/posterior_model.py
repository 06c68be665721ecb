"""What a surrogate that knows its moments shares with the others as a BoTorch model. Not how the moments come about."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from botorch.exceptions.errors import UnsupportedError
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from torch import Tensor

from .gaussian import gaussian


class PosteriorModel(Model):  # type: ignore[misc]  # botorch has no type hints that mypy follows
    """A BoTorch model by its mean and covariance.

    A subclass sets ``_X``, a `n x d`-dim Tensor of rows it is conditioned on, and implements `moments`, `subset_output` and
    `num_outputs`.

    Attributes:
        differentiable: Whether the posterior has a gradient in the numeric columns.
    """

    differentiable = True
    _X: Tensor

    @abstractmethod
    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the covariance of the targets at a `(b) x q x d`-dim Tensor.

        Returns:
            A `(b) x q x m`-dim and a `(b) x m x q x q`-dim Tensor.
        """

    @abstractmethod
    def subset_output(self, idcs: Sequence[int]) -> Self:
        """Return a model of some of the targets, in that order."""

    @property
    def X(self) -> Tensor:  # noqa: N802 - rows are X everywhere
        """The `n x d`-dim Tensor of rows it is conditioned on."""
        return self._X

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: one model."""
        return torch.Size([])

    def posterior(
        self,
        X: Tensor,
        output_indices: Sequence[int] | None = None,
        observation_noise: bool = False,
        posterior_transform: Any = None,
    ) -> GPyTorchPosterior:
        """Return the joint posterior over a `(b) x q x d`-dim Tensor.

        Raises:
            UnsupportedError: Observation noise is asked for.
        """
        if observation_noise:
            raise UnsupportedError("The posterior of this surrogate is without observation noise.")
        if output_indices is not None:
            return self.subset_output(output_indices).posterior(X, posterior_transform=posterior_transform)
        posterior = gaussian(*self.moments(X))
        return posterior if posterior_transform is None else posterior_transform(posterior)


def check_finite(Y: Tensor, name: str) -> None:
    """Check the targets of a fit.

    Raises:
        RuntimeError: One of them is not finite.
    """
    if not bool(torch.isfinite(Y).all()):
        raise RuntimeError(f"The targets of the {name} are not all finite.")
