from __future__ import annotations

import math

import pytest
import torch
from conformance.bo_problems import observed, surrogate

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import JES, MES
from omniforge.search.bo.acquisitions.entropy import _truncated


@pytest.mark.parametrize("make", [MES, JES])
def test_what_is_known_tells_less_than_what_may_be_best(make: type[MES]) -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    assert seen.candidates is not None
    X = torch.cat([seen.X, seen.candidates])
    values = make().build(model, seen, pending=seen.X[:0], seed=0)(X[:, None])
    posterior = model.posterior(X[:, None])
    promise = posterior.mean[:, 0, 0] + 2.0 * posterior.variance[:, 0, 0].sqrt()
    assert float(promise[values.argmax()]) > float(promise.median())
    assert float(values[seen.Y[:, 0].argmin()]) < float(values.max()) - 0.5


@pytest.mark.oracle
def test_the_variance_below_a_maximum_is_that_of_samples() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:1, None]
    posterior = model.posterior(X)
    mean, std = float(posterior.mean), float(posterior.variance.sqrt())
    most = mean + 0.5 * std
    draws = mean + std * torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = float(draws[draws <= most].var())
    assert float(_truncated(model, X, torch.tensor(most))) == pytest.approx(sampled, rel=0.02)
    assert math.isfinite(float(_truncated(model, X, torch.tensor(mean - 60.0 * std))))


def test_more_samples_agree_better() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:, None]

    def spread(samples: int) -> float:
        values = [MES(samples).build(model, seen, pending=seen.X[:0], seed=seed)(X).exp() for seed in range(8)]
        return float(torch.stack(values).std(0).mean())

    assert spread(128) < 0.5 * spread(1)


def test_noise_is_above_zero() -> None:
    with pytest.raises(SpecError, match="noise"):
        JES(noise=0.0)
