from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import observed, rows_of
from conformance.generator_suite import GeneratorSuite

from omniforge.errors import SpecError
from omniforge.search.bo.composition import GENERATORS
from omniforge.search.bo.generators import Mixture, Perturbation, Prior, Shrinking, Uniform, best_rows
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals


class TestGenerators(GeneratorSuite):
    @pytest.fixture(params=tuple(GENERATORS))
    def choice(self, request: Any) -> Any:
        return request.param


@pytest.mark.parametrize("make", [Uniform, Mixture])
def test_rows_are_of_valid_configurations(
    make: Callable[[], Uniform], rows: Rows, observe: Callable[[int], Observed]
) -> None:
    X = make().generate(rows, observe(1), count=60, rng=np.random.default_rng(0))
    assert 50 <= len(X) <= 70
    assert all(rows.space.is_valid(config) for config in rows.decode(X))
    torch.testing.assert_close(rows.encode(rows.decode(X)), X)


def test_the_best_rows_are_the_front_and_keep_the_bounds() -> None:
    Y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [2.0, -5.0]], dtype=torch.float64)
    several = Observed(torch.zeros(4, 1), Y, Goals((0, 1), {}))
    assert set(best_rows(several, 3).tolist()) == {0, 1, 3}
    bounded = Observed(torch.zeros(4, 1), Y, Goals((0,), {1: -2.0}))
    assert best_rows(bounded, 2).tolist() == [0, 1]


def test_a_region_shrinks_while_the_budget_is_used() -> None:
    rows, seen = rows_of("numeric"), observed("numeric", "one")

    def apart(budget: int) -> float:
        now = replace(seen, budget=budget)
        X = Shrinking(everywhere=0.0).generate(rows, now, count=60, rng=np.random.default_rng(0))
        return float(torch.cdist(X, seen.X[best_rows(seen, 8)]).amin(-1).mean())

    assert apart(len(seen.X)) < 0.5 * apart(100 * len(seen.X))


def test_draws_follow_the_priors_or_ignore_them() -> None:
    rows, seen = rows_of("conditional"), observed("conditional", "one")
    share = {}
    for make in (Prior, Uniform):
        configs = rows.decode(make().generate(rows, seen, count=300, rng=np.random.default_rng(0)))
        share[make] = np.mean([config["kind"] == "a" for config in configs])
    assert share[Prior] > 0.7
    assert share[Uniform] < 0.68


@pytest.mark.parametrize(("make", "option"), [(Shrinking, "end"), (Shrinking, "everywhere"), (Perturbation, "parents")])
def test_options_out_of_range_are_refused(make: Any, option: str) -> None:
    with pytest.raises(SpecError, match=option):
        make(**{option: -1})
