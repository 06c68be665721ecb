from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conformance.surrogate_suite import MIXED, SurrogateSuite

from omniforge.errors import SpecError
from omniforge.search import SearchSpace
from omniforge.search.bo.rows import Rows
from omniforge.search.bo.surrogates.forest import RandomForest


class TestRandomForest(SurrogateSuite):
    @pytest.fixture
    def make(self) -> Callable[[Rows], Any]:
        return lambda rows: RandomForest(rows, trees=16)


@pytest.mark.oracle
def test_the_posterior_is_that_of_the_mixture_of_leaves() -> None:
    rows, X, Y = SurrogateSuite.data(MIXED, 30)
    forest = RandomForest(rows, trees=6)
    forest.fit(X, Y)
    grown = forest._forests[0]
    leaves = grown.leaves(forest._features(X[:3]))
    count, mean, squares = grown.statistics.numpy()
    for row in range(3):
        means = [mean[tree, leaf] for tree, leaf in enumerate(leaves[:, row])]
        variances = [squares[tree, leaf] / count[tree, leaf] for tree, leaf in enumerate(leaves[:, row])]
        posterior = forest.posterior(X[row : row + 1])
        assert float(posterior.mean) == pytest.approx(np.mean(means))
        assert float(posterior.variance) == pytest.approx(np.mean(variances) + np.var(means), abs=1e-8)


def test_leaf_statistics_are_those_of_all_responses() -> None:
    rows, X, Y = SurrogateSuite.data(MIXED, 30)
    forest = RandomForest(rows, trees=2)
    forest.fit(X, Y)
    more = forest.condition(X[:1].repeat(4, 1), torch.tensor([[1.0], [2.0], [3.0], [6.0]], dtype=torch.float64))
    leaf = forest._forests[0].leaves(forest._features(X[:1]))[0, 0]
    n, mean, squares = forest._forests[0].statistics[:, 0, leaf].tolist()
    total = n + 4
    expected = (n * mean + 12.0) / total
    spread = squares + n * mean**2 + 50.0 - total * expected**2
    assert more._forests[0].statistics[:, 0, leaf].tolist() == pytest.approx([total, expected, spread])


def test_an_inactive_number_is_told_from_every_active_one() -> None:
    space = SearchSpace.from_yaml(
        "k: {type: choice, range: [a, b], submodule: {a: {x: {type: float, range: [0.0, 1.0]}}}}"
    )
    rows = Rows(space)
    X = rows.encode([{"k": "a", "k.a.x": x / 10} for x in range(11)] + [{"k": "b"}] * 11)
    Y = torch.cat([torch.zeros(11, 1), torch.ones(11, 1)]).to(torch.float64)
    forest = RandomForest(rows)
    forest.fit(X, Y)
    middle, absent = rows.encode([{"k": "a", "k.a.x": 0.5}, {"k": "b"}])
    assert float(forest.posterior(middle[None]).mean) < 0.1
    assert float(forest.posterior(absent[None]).mean) > 0.9


@pytest.mark.parametrize("option", [{"trees": 1}, {"min_leaf": 0}, {"seed": -1}])
def test_options_are_checked(option: dict[str, int]) -> None:
    with pytest.raises(SpecError):
        RandomForest(Rows(MIXED), **option)
