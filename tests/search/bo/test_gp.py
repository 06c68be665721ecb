from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from botorch.exceptions.errors import UnsupportedError

from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows

Fit = Callable[[int], GaussianProcess]
Observe = Callable[[int], Observed]


@pytest.mark.oracle
def test_the_posterior_is_that_of_the_dense_equations(rows: Rows, fitted: Fit, observe: Observe) -> None:
    gp, seen = fitted(1), observe(1)
    kernel, v = gp._kernel, gp._v[0]
    A, B = kernel.embed(seen.X), kernel.embed(seen.X[:5] * 0.9)
    K = kernel(v, A, A) + (kernel.scalars(v)[2].squeeze() + 1e-8) * torch.eye(len(seen.X), dtype=torch.float64)
    cross = kernel(v, B, A)
    mean = cross @ torch.linalg.solve(K, seen.Y[:, 0])
    covariance = kernel(v, B, B) - cross @ torch.linalg.solve(K, cross.T)
    posterior = gp.posterior(seen.X[:5] * 0.9)
    torch.testing.assert_close(posterior.mean[:, 0], mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(posterior.variance[:, 0], covariance.diagonal(), rtol=1e-4, atol=1e-6)


def test_batches_of_one_and_joint_rows_agree(fitted: Fit, observe: Observe) -> None:
    X = observe(2).X[:6]
    single, joint = fitted(2).posterior(X[:, None]), fitted(2).posterior(X)
    torch.testing.assert_close(single.mean[:, 0], joint.mean)
    torch.testing.assert_close(single.variance[:, 0], joint.variance, rtol=1e-4, atol=1e-7)


def test_it_learns_and_is_surer_where_it_is_conditioned(fitted: Fit, observe: Observe) -> None:
    gp, seen = fitted(1), observe(1)
    fit = gp.posterior(seen.X[:, None]).mean[:, 0, 0]
    assert float(torch.corrcoef(torch.stack([fit, seen.Y[:, 0]]))[0, 1]) > 0.9
    new = seen.X[:1].clone()
    new[0, -1] = 0.987
    knowing = gp.condition(new, torch.tensor([[3.0]], dtype=torch.float64))
    assert float(knowing.posterior(new).variance) < float(gp.posterior(new).variance)
    assert len(gp.X) == len(seen.X)


def test_targets_that_are_not_finite_are_refused(rows: Rows, observe: Observe) -> None:
    with pytest.raises(RuntimeError, match="not all finite"):
        GaussianProcess(rows).fit(observe(1).X, observe(1).Y * float("nan"))


def test_known_noise_makes_an_observation_count_less(rows: Rows, observe: Observe) -> None:
    seen = observe(1)
    noisy = torch.zeros_like(seen.Y)
    noisy[0] = 9.0
    exact, doubted = GaussianProcess(rows), GaussianProcess(rows)
    Y = seen.Y.clone()
    Y[0] += 2.0
    exact.fit(seen.X, Y)
    doubted.fit(seen.X, Y, noisy, start=exact.hyperparameters, refit=False)
    at = seen.X[:1, None]
    assert abs(float(doubted.posterior(at).mean) - float(Y[0])) > abs(float(exact.posterior(at).mean) - float(Y[0]))
    assert doubted.hyperparameters == exact.hyperparameters


def test_a_subset_of_targets_is_a_model_of_its_own(fitted: Fit, observe: Observe) -> None:
    gp, X = fitted(2), observe(2).X[:4, None]
    torch.testing.assert_close(gp.subset_output([1]).posterior(X).mean[..., 0], gp.posterior(X).mean[..., 1])
    torch.testing.assert_close(gp.posterior(X, output_indices=[0]).mean[..., 0], gp.posterior(X).mean[..., 0])
    assert gp.subset_output([0, 1]) is gp
    with pytest.raises(UnsupportedError, match="without observation noise"):
        gp.posterior(X, observation_noise=True)
