from __future__ import annotations

import pytest
import torch
from conformance.bo_problems import SURROGATE_NAMES, observed, surrogate

from omniforge.search.bo.acquisitions import Thompson


@pytest.mark.parametrize("model", SURROGATE_NAMES)
def test_each_seed_is_another_function(model: str) -> None:
    seen, fitted = observed("numeric", "one"), surrogate("numeric", "one", model)
    X = seen.candidates[:, None]
    first, other = (Thompson().build(fitted, seen, pending=seen.X[:0], seed=seed)(X) for seed in (0, 1))
    assert not torch.allclose(first, other)


def test_its_spread_is_that_of_the_posterior() -> None:
    seen, fitted = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:5, None]
    draws = torch.stack([Thompson().build(fitted, seen, pending=seen.X[:0], seed=s)(X) for s in range(200)])
    std = fitted.posterior(X).variance[:, 0, 0].sqrt()
    free = std > 0.3
    torch.testing.assert_close(draws.std(0)[free], std[free], rtol=0.25, atol=0.05)


def test_a_broken_bound_counts_more_than_any_gain() -> None:
    seen, fitted = observed("numeric", "limited"), surrogate("numeric", "limited")
    values = Thompson().build(fitted, seen, pending=seen.X[:0], seed=0)(seen.X[:, None])
    assert seen.Y[values.argmax(), 1] > -0.5
