from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conformance.surrogate_suite import SurrogateSuite

from omniforge.search.bo.rows import Rows
from omniforge.search.bo.surrogates import sghmc
from omniforge.search.bo.surrogates.sghmc import Bohamiann


class TestBohamiann(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: Bohamiann(rows, chains=6, samples=4, units=12, steps=80)


@pytest.mark.oracle
def test_the_sampler_has_the_right_spread_on_a_normal_density() -> None:
    spread = torch.tensor([0.1, 1.0, 3.0])
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(64, 3, generator=generator) * spread
    found = sghmc.sample(
        lambda theta: 0.5 * (theta / spread).square().sum(dim=1),
        start,
        least=spread.square().reciprocal(),
        steps=200,
        samples=10,
        generator=generator,
        size=0.1,
    )
    torch.testing.assert_close(found.reshape(-1, 3).std(dim=0), spread, rtol=0.15, atol=0.0)
