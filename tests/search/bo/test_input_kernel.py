from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.strategy_suite import CONDITIONAL
from conformance.surrogate_suite import SurrogateSuite

from omniforge.errors import SpecError
from omniforge.search import SearchSpace
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.input_kernel import InputKernel, kernel_for
from omniforge.search.bo.kernel import MixedKernel
from omniforge.search.bo.rows import Rows

BRANCH = SearchSpace.from_yaml(
    "k: {type: choice, range: [a, b], submodule: {a: {x: {type: float, range: [0.0, 1.0]}}}}"
)


class TestWarpedOnArcs(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: GaussianProcess(rows, inactive="arc", warping=True)


def test_it_is_positive_definite() -> None:
    rows = Rows(CONDITIONAL)
    kernel = InputKernel(rows, arc=True, warping=True)
    E = kernel.embed(rows.encode(CONDITIONAL.sample_many(40, np.random.default_rng(0))))
    for shift in (0.0, 0.6, -0.6):
        v = torch.clamp(kernel.mean + shift, kernel.low, kernel.high)
        K = kernel(v, E, E)
        torch.testing.assert_close(K, K.T)
        assert float(torch.linalg.eigvalsh(K).min()) > -1e-8
        torch.testing.assert_close(K.diagonal(), kernel.diagonal(v).expand(40, 1)[:, 0], rtol=1e-5, atol=1e-5)


def test_every_active_value_is_as_far_from_the_inactive_one() -> None:
    rows = Rows(BRANCH)
    kernel = InputKernel(rows, arc=True, warping=False)
    X = rows.encode([{"k": "b"}, *({"k": "a", "k.a.x": x} for x in (0.0, 0.5, 1.0))])
    moved = kernel._moved(kernel.mean, kernel.embed(X).numeric)
    distances = (moved - moved[0]).norm(dim=-1)
    torch.testing.assert_close(distances[1:], torch.full((3,), 2.0 / torch.pi, dtype=torch.float64))
    assert float((moved[1] - moved[3]).norm()) > float((moved[1] - moved[2]).norm()) > 0.4


def test_a_warping_of_one_is_none() -> None:
    rows = Rows(CONDITIONAL)
    plain, warped = MixedKernel(rows), InputKernel(rows, arc=False, warping=True)
    E = plain.embed(rows.encode(CONDITIONAL.sample_many(20, np.random.default_rng(0))))
    torch.testing.assert_close(warped(warped.mean, E, E), plain(plain.mean, E, E), rtol=1e-4, atol=1e-4)


def test_warping_is_learned() -> None:
    space = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
    X = torch.linspace(0.0, 1.0, 10, dtype=torch.float64)[:, None]
    new = torch.linspace(0.02, 0.98, 60, dtype=torch.float64)[:, None]

    def target(x: torch.Tensor) -> torch.Tensor:
        return 1.0 + torch.log(x + 0.003)

    errors = {}
    for warping in (False, True):
        gp = GaussianProcess(Rows(space), warping=warping)
        gp.fit(X, target(X))
        errors[warping] = float((gp.posterior(new[:, None]).mean[:, 0] - target(new)).square().mean())
    assert errors[True] < 0.1 * errors[False]


def test_the_default_is_the_plain_kernel() -> None:
    numeric = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
    assert type(kernel_for(Rows(CONDITIONAL), inactive="neutral", warping=False)) is MixedKernel
    assert type(kernel_for(Rows(numeric), inactive="arc", warping=False)) is MixedKernel
    with pytest.raises(SpecError, match="expected 'neutral' or 'arc'"):
        GaussianProcess(Rows(numeric), inactive="arcs")
