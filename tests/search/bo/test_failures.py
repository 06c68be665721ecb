from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance.surrogate_suite import NUMERIC

from omniforge.errors import SpecError
from omniforge.search import Objective, Reward, SearchSpace, strategy
from omniforge.search.bo.acquisitions import LogEI, LogPI
from omniforge.search.bo.failures import Avoiding, SuccessModel, can_avoid
from omniforge.search.bo.gp import GaussianProcess
from omniforge.search.bo.parts import Observed
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.warp import Goals

ACCURACY = Objective("accuracy", "max")
X = torch.rand(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_learns_where_candidates_fail() -> None:
    model = SuccessModel(Rows(NUMERIC))
    model.fit(X, X[:, 0] < 0.5)
    log_p = model.log_probability(torch.tensor([[0.2, 0.5, 0.5], [0.8, 0.5, 0.5]], dtype=torch.float64))
    assert float(log_p[0]) > np.log(0.9)
    assert float(log_p[1]) < np.log(0.1)
    assert model.log_probability(X[:6].reshape(2, 3, 3)).shape == (2, 3)


def test_failures_at_random_say_nothing_about_a_place() -> None:
    model = SuccessModel(Rows(NUMERIC))
    model.fit(X, torch.rand(40, generator=torch.Generator().manual_seed(3)) < 0.75)
    p = model.log_probability(torch.rand(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).exp()
    assert float(p.std()) < 0.2
    assert 0.55 < float(p.mean()) < 0.95


def test_the_probability_weighs_an_acquisition() -> None:
    rows = Rows(NUMERIC)
    gp = GaussianProcess(rows)
    gp.fit(X[:20], X[:20, 1:2] - 0.5)
    observed = Observed(X[:20], X[:20, 1:2] - 0.5, Goals((0,), {}))
    model = SuccessModel(rows)
    model.fit(X, X[:, 0] < 0.5)
    weighed = Avoiding(LogEI(), model)
    plain = LogEI().build(gp, observed, pending=X[:0], seed=0)
    found = weighed.build(gp, observed, pending=X[:0], seed=0)(X[30:, None])
    torch.testing.assert_close(found, plain(X[30:, None]) + 2.0 * model.log_probability(X[30:]))
    assert can_avoid(weighed)
    assert weighed.declines(observed)
    assert not Avoiding(LogPI(), model).declines(observed)


def test_a_fit_starts_from_an_earlier_one() -> None:
    first, later = SuccessModel(Rows(NUMERIC)), SuccessModel(Rows(NUMERIC))
    first.fit(X, X[:, 0] < 0.5)
    later.fit(X[:20], X[:20, 0] < 0.5, start=first.hyperparameters, refit=False)
    assert later.hyperparameters == first.hyperparameters


def test_a_search_leaves_a_region_that_fails() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.0, 1.0]}")
    made = strategy({"auto": {"initial": 8}})
    made.bind_space(space, [ACCURACY], seed=0)
    states = []
    for _ in range(20):
        (candidate,) = made.generate_tasks(1)
        x, y = candidate.config["x"], candidate.config["y"]
        states.append("failed" if x > 0.6 else "succeeded")
        metrics = {"accuracy": -((x - 0.3) ** 2) - (y - 0.7) ** 2} if x <= 0.6 else {}
        made.handle_rewards([Reward(candidate, metrics, state=states[-1])])
    assert states[:8].count("failed") > 1
    assert states[8:].count("failed") <= 2


def test_another_word_is_refused() -> None:
    with pytest.raises(SpecError, match="expected 'worst' or 'model'"):
        strategy({"bo": {"failures": "best"}})
