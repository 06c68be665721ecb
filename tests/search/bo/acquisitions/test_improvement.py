from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conformance.bo_problems import GOALS, observed, surrogate

from omniforge.errors import SpecError
from omniforge.search.bo.acquisitions import EI, LogEI, LogPI, QLogEI, QLogNEI
from omniforge.search.bo.warp import Goals


def test_one_row_of_several_is_one_row() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:8, None]
    analytic = LogEI().build(model, seen, pending=seen.X[:0], seed=0)(X)
    sampled = QLogEI(samples=2048).build(model, seen, pending=seen.X[:0], seed=0)(X)
    likely = analytic > -4.0
    torch.testing.assert_close(sampled[likely], analytic[likely], rtol=0.1, atol=0.1)
    torch.testing.assert_close(EI().build(model, seen, pending=seen.X[:0], seed=0)(X), analytic.exp())


def test_a_second_row_at_the_same_place_adds_little() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates
    one = LogEI().build(model, seen, pending=seen.X[:0], seed=0)(X[:, None])
    best, other = X[one.argmax()], X[one.argsort()[-4]]
    joint = QLogEI(samples=512).build(model, seen, pending=seen.X[:0], seed=0)
    assert float(joint(torch.stack([best, other])[None])) > float(joint(torch.stack([best, best])[None])) - 1e-3


def test_pending_rows_are_integrated_over() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    free = LogEI().build(model, seen, pending=seen.X[:0], seed=0)(seen.candidates[:, None])
    top = seen.candidates[free.argmax()][None]
    for make in (QLogEI(samples=256), QLogNEI(samples=256)):
        alone = make.build(model, seen, pending=seen.X[:0], seed=0)(top[None])
        beside = make.build(model, seen, pending=top, seed=0)(top[None])
        if isinstance(make, QLogNEI):
            assert float(beside) < float(alone) - 1.0
        else:  # its value is that of all rows together
            assert float(beside) < float(alone) + 0.2


def test_probability_of_improvement_is_a_normal_tail() -> None:
    seen, model = observed("numeric", "one"), surrogate("numeric", "one")
    X = seen.candidates[:6, None]
    posterior = model.posterior(X)
    best = model.posterior(seen.X[:, None]).mean.max()
    z = (posterior.mean[:, 0, 0] - best - 0.1) / posterior.variance[:, 0, 0].sqrt()
    torch.testing.assert_close(
        LogPI(margin=0.1).build(model, seen, pending=seen.X[:0], seed=0)(X), torch.special.log_ndtr(z)
    )
    with pytest.raises(SpecError, match="margin"):
        LogPI(margin=-1.0)


def test_it_only_falls_without_bounds_on_other_targets() -> None:
    seen = observed("numeric", "one")
    assert LogEI().declines(seen)
    assert LogEI().declines(replace(seen, goals=Goals((0,), {0: 1.0})))
    assert not LogEI().declines(replace(seen, goals=GOALS["limited"]))
