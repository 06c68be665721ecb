from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from botorch.exceptions.errors import UnsupportedError

from omniforge.search.bo.surrogates.posterior_model import PosteriorModel, check_finite

Tensor = torch.Tensor


class Fixed(PosteriorModel):
    """Mean i and variance i + 1 for target i."""

    def __init__(self, targets: Sequence[int]) -> None:
        super().__init__()
        self._targets = torch.tensor(targets, dtype=torch.float64)
        self._X = torch.zeros(2, 3, dtype=torch.float64)

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        mean = self._targets.expand(*X.shape[:-1], len(self._targets))
        eye = torch.eye(X.shape[-2], dtype=torch.float64)
        return mean, (self._targets[:, None, None] + 1.0) * eye.expand(*X.shape[:-2], len(self._targets), *eye.shape)

    def subset_output(self, idcs: Sequence[int]) -> Fixed:
        return Fixed(self._targets[list(idcs)].tolist())

    @property
    def num_outputs(self) -> int:
        return len(self._targets)


def test_a_model_by_its_moments_is_one_of_botorch() -> None:
    from botorch.acquisition.analytic import LogExpectedImprovement

    model = Fixed([0, 2])
    X = torch.zeros(5, 1, 3, dtype=torch.float64)
    assert model.posterior(X, output_indices=[1]).variance.flatten().tolist() == [3.0] * 5
    assert LogExpectedImprovement(Fixed([0]), best_f=0.0)(X).shape == (5,)
    assert model.batch_shape == torch.Size([])
    assert model.X.shape == (2, 3)
    with pytest.raises(UnsupportedError, match="without observation noise"):
        model.posterior(X, observation_noise=True)


def test_targets_have_to_be_finite() -> None:
    check_finite(torch.zeros(2), "thing")
    with pytest.raises(RuntimeError, match="thing"):
        check_finite(torch.tensor([0.0, float("inf")]), "thing")
