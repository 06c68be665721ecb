from __future__ import annotations

import pytest
import torch
from conformance.bo_problems import observed, surrogate

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import QUCB, UCB


def test_it_is_mean_and_spread() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:6, None]
    posterior = model.posterior(X)
    mean, std = posterior.mean[:, 0, 0], posterior.variance[:, 0, 0].sqrt()
    torch.testing.assert_close(UCB(beta=4.0).build(model, seen, pending=seen.X[:0], seed=0)(X), mean + 2.0 * std)
    torch.testing.assert_close(UCB().build(model, seen, pending=seen.X[:0], seed=0)(X), mean + std)
    sampled = QUCB(beta=4.0, samples=4096).build(model, seen, pending=seen.X[:0], seed=0)(X)
    torch.testing.assert_close(sampled, mean + 2.0 * std, rtol=0.02, atol=0.02)


def test_a_negative_beta_is_refused() -> None:
    for make in (UCB, QUCB):
        with pytest.raises(SpecError, match="beta"):
            make(beta=-1.0)
