from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conformance.bo_problems import observed, surrogate

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import Cooled, LogEI, Preferred
from omniforge.search.bo.acquisitions.weighted import averaged
from omniforge.search.bo.preference import Preference


def test_what_costs_less_is_worth_more_until_the_budget_is_used() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    dear = replace(seen, duration_s=torch.where(seen.X[:, 0] > 0.5, 100.0, 1.0).to(seen.X), budget=1000)
    X = torch.tensor([[0.1, 0.5], [0.9, 0.5]], dtype=torch.float64)[:, None]
    plain = LogEI().build(model, seen, pending=seen.X[:0], seed=0)(X)
    early = Cooled("logei").build(model, dear, pending=seen.X[:0], seed=0)(X) - plain
    assert float(early[0] - early[1]) > 2.0
    spent = replace(dear, budget=len(seen.X))
    torch.testing.assert_close(Cooled("logei").build(model, spent, pending=seen.X[:0], seed=0)(X), plain)
    unknown = replace(dear, duration_s=torch.full_like(seen.X[:, 0], torch.nan))
    torch.testing.assert_close(Cooled("logei").build(model, unknown, pending=seen.X[:0], seed=0)(X), plain)


def test_the_prior_is_added_to_a_power_that_fades() -> None:
    seen, model = observed("conditional", "one"), surrogate("conditional", "one")
    X = seen.candidates[:10]
    plain = LogEI().build(model, seen, pending=seen.X[:0], seed=0)(X[:, None])
    shown = Preferred("logei", beta=6.0).build(model, seen, pending=seen.X[:0], seed=0)(X[:, None])
    torch.testing.assert_close(shown - plain, 6.0 / seen.count * Preference(seen.rows)(X))
    later = replace(seen, total=100 * seen.count)
    late = Preferred("logei", beta=6.0).build(model, later, pending=seen.X[:0], seed=0)(X[:, None])
    assert float((late - plain).abs().max()) < float((shown - plain).abs().max()) / 50


def test_only_logarithms_can_be_weighed() -> None:
    for make in (Cooled, Preferred):
        with pytest.raises(SpecError, match="cannot weigh 'ucb'"):
            make("ucb")
    with pytest.raises(SpecError, match="exponent"):
        Cooled(exponent=-1.0)
    with pytest.raises(SpecError, match="beta"):
        Preferred(beta=-1.0)


def test_logarithms_are_averaged_as_what_they_are_logs_of() -> None:
    X = torch.zeros(1, 1, 1)
    functions = [lambda X: torch.full((1,), 2.0).log(), lambda X: torch.full((1,), 4.0).log()]
    assert float(averaged(functions, logarithmic=True)(X).exp()) == pytest.approx(3.0)
    assert float(averaged(functions, logarithmic=False)(X)) == pytest.approx(
        float(torch.tensor([2.0, 4.0]).log().mean())
    )
