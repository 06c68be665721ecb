from __future__ import annotations

import pytest
import torch
from conformance.bo_problems import observed, surrogate

from omniforge.search.bo.acquisitions import KnowledgeGradient
from omniforge.search.bo.acquisitions.knowledge import rise


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(5))
def test_the_envelope_gives_the_expectation_of_the_maximum(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    levels, slopes = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64)
    slopes[0, 3] = slopes[0, 4]  # parallel lines, and one that is there twice
    levels[1, 2], slopes[1, 2] = levels[1, 5], slopes[1, 5]
    z = torch.special.ndtri((torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000)
    expected = torch.stack(
        [(a[:, None] + b[:, None] * z).amax(0).mean() - a.max() for a, b in zip(levels, slopes, strict=True)]
    )
    torch.testing.assert_close(rise(levels, slopes), expected, rtol=1e-3, atol=1e-5)


def test_nothing_is_gained_where_nothing_can_change() -> None:
    assert float(rise(torch.tensor([1.0, 0.0]), torch.tensor([0.3, 0.3]))) == 0.0


def test_a_batch_has_a_gradient() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:4, None].clone().requires_grad_()
    function = KnowledgeGradient().build(model, seen, pending=seen.X[:0], seed=0)
    (gradient,) = torch.autograd.grad(function(X).sum(), X)
    assert bool(gradient.abs().sum() > 0)
    assert getattr(function, "costly", False)
