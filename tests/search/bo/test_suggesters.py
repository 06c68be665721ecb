from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.bo_problems import observed, rows_of, surrogate
from conformance.suggester_suite import SuggesterSuite

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import LogEI, LogPI, QLogEI
from omniforge.search.bo.composition import SUGGESTERS
from omniforge.search.bo.generators import Mixture
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.optimizers import ExhaustiveOptimizer, MixedOptimizer
from omniforge.search.bo.parts import Observed, Search
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.suggesters import Believer, Joint, Liar, Penalized
from omniforge.search.bo.suggesters.penalized import distance


class TestSuggesters(SuggesterSuite):
    @pytest.fixture(params=tuple(SUGGESTERS))
    def choice(self, request: Any) -> Any:
        return {"fantasies": {"fantasies": {"samples": 2}}}.get(request.param, request.param)


@pytest.mark.parametrize("value", ["mean", "worst"])
def test_a_batch_is_of_different_new_rows_near_the_best(
    value: str, rows: Rows, fitted: Callable[[int], GaussianProcess], observe: Callable[[int], Observed]
) -> None:
    search = Search(
        rows, observe(1), fitted(1), LogEI(), MixedOptimizer(), Mixture(), is_new=lambda _: True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    found = rows.decode(Believer(value, candidates=64).suggest(3, observe(1).X[:1], search=search))
    assert len({rows.space.config_hash(config) for config in found}) == 3
    assert found[0]["kind"] == "a"


def test_another_value_is_refused() -> None:
    with pytest.raises(SpecError, match="expected 'mean' or 'worst'"):
        Believer("best")


@pytest.mark.parametrize("space", ["finite", "cells"])
def test_a_batch_from_a_listed_space_is_what_evaluating_everything_gives(space: str) -> None:
    """Bounds of earlier values spare evaluations and change nothing."""

    class Forgetful(ExhaustiveOptimizer):
        def maximize(self, acquisition: Any, rows: Rows, **others: Any) -> Any:
            return ExhaustiveOptimizer().maximize(acquisition, rows, **others)

    seen, model = observed(space, "one"), surrogate(space, "one")
    found = []
    for optimizer in (ExhaustiveOptimizer(), Forgetful()):
        search = Search(
            rows_of(space), seen, model, LogEI(), optimizer, Mixture(), is_new=lambda _: True,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        found.append(rows_of(space).decode(Believer().suggest(5, seen.X[:0], search=search)))
    assert found[0] == found[1]


def test_a_row_near_a_waiting_one_is_worth_less() -> None:
    seen = observed("numeric", "one")
    search = Search(
        rows_of("numeric"), seen, surrogate("numeric", "one"), LogEI(), MixedOptimizer(), Mixture(),
        is_new=lambda _: True, rng=np.random.default_rng(0),
    )  # fmt: skip
    first = Penalized(candidates=64).suggest(1, seen.X[:0], search=search)
    second = Penalized(candidates=64).suggest(1, first, search=search)
    assert float((first - second).norm()) > 0.02


def test_choices_are_one_apart_and_numbers_as_they_differ() -> None:
    A = torch.tensor([[0.0, 2.0], [0.3, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(
        distance(A, A, categorical=[1]), torch.tensor([[0.0, 1.09**0.5], [1.09**0.5, 0.0]], dtype=torch.float64)
    )


def test_a_batch_as_a_whole_is_at_least_as_good_as_where_it_began() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    found = []
    for make in (Believer, Joint):
        search = Search(
            rows_of("numeric"), seen, model, LogEI(), MixedOptimizer(), Mixture(), is_new=lambda _: True,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        found.append(make(candidates=32).suggest(3, seen.X[:0], search=search))
    joint = QLogEI(samples=512).build(model, seen, pending=seen.X[:0], seed=9)
    assert float(joint(found[1][None])) >= float(joint(found[0][None])) - 0.02


def test_joint_needs_an_acquisition_of_several_rows() -> None:
    seen = observed("numeric", "one")
    search = Search(
        rows_of("numeric"), seen, surrogate("numeric", "one"), LogPI(), MixedOptimizer(), Mixture(),
        is_new=lambda _: True, rng=np.random.default_rng(0),
    )  # fmt: skip
    with pytest.raises(SpecError, match="several rows"):
        Joint().suggest(2, seen.X[:0], search=search)
    with pytest.raises(SpecError, match="'min', 'mean' or 'max'"):
        Liar("worst")
