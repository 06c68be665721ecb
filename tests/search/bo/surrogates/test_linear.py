from __future__ import annotations

import pytest
import torch

from omniforge.search.bo.surrogates.linear import Weights


@pytest.mark.oracle
def test_weights_given_observations_are_those_of_the_dense_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    at_once = Weights.standard(2, 4).given(features, y, noise=0.1)
    for target in range(2):
        A = features[target]
        covariance = torch.linalg.inv(torch.eye(4, dtype=torch.float64) + A.T @ A / 0.1)
        torch.testing.assert_close(at_once.covariance[target], covariance)
        torch.testing.assert_close(at_once.center[target], covariance @ A.T @ y[target] / 0.1)
    in_turn = Weights.standard(2, 4).given(features[:, :2], y[:, :2], noise=0.1)
    in_turn = in_turn.given(features[:, 2:], y[:, 2:], noise=0.1)
    torch.testing.assert_close(in_turn.center, at_once.center)
    torch.testing.assert_close(in_turn.covariance, at_once.covariance)
