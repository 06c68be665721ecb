from __future__ import annotations

import numpy as np
import pytest

from omniforge.components.formatter.given_space import complete_space
from omniforge.errors import SpaceError
from omniforge.estimators import load_bundle
from omniforge.search import SearchSpace

TABULAR = load_bundle("tabular").space
OWN = SearchSpace.from_yaml(
    """
blocks:
  type: int
  range: [1, 3]
  submodule:
    kind:
      type: choice
      range: {conv, dense}
      submodule:
        conv: {width: {type: int, range: [8, 64], default: 16}}
        dense: {units: {type: int, range: [8, 64], default: 32}}
rate: {type: float, range: [0.0, 1.0], default: 0.5}
"""
)


def given(text: str, own: SearchSpace = OWN) -> tuple[SearchSpace, list[str]]:
    return complete_space(SearchSpace.from_yaml(text), own, estimator="mine")


def test_a_whole_space_stays_as_it_is() -> None:
    assert complete_space(TABULAR, TABULAR, estimator="tabular") == (TABULAR, [])
    wider = TABULAR.edit("algorithm.knn.n_neighbors", range=[1, 500])
    assert complete_space(wider, TABULAR, estimator="tabular") == (wider, [])


def test_what_is_not_there_keeps_its_default_with_all_below_it() -> None:
    space, notes = given("rate: {type: float, range: [0.1, 0.2]}")
    assert notes == ["Not in the given space, so kept at their defaults: blocks = 2."]
    config = space.sample(np.random.default_rng(0))
    assert 0.1 <= config.pop("rate") <= 0.2
    fixed = OWN.default()
    del fixed["rate"]
    assert config == fixed


def test_the_rest_of_a_branch_is_filled_in_where_it_can_be_active() -> None:
    space, (note,) = given(
        "algorithm: {type: choice, range: {linear, knn}, submodule: {knn: {p: {type: choice, range: {1, 2}}}}}", TABULAR
    )
    assert "algorithm.linear.penalty = l2" in note
    assert "lightgbm" not in note
    rng = np.random.default_rng(0)
    for config in space.sample_many(20, rng):
        TABULAR.validate(config)


def test_a_constant_may_stand_for_a_parent() -> None:
    space, _ = given("algorithm: {type: constant, value: extra_trees}", TABULAR)
    config = TABULAR.complete({"algorithm": "extra_trees"})
    assert space.sample(np.random.default_rng(0)) == config
    repeated, _ = given("blocks: {type: constant, value: 2}")
    assert repeated.default() == OWN.complete({"blocks": 2})


@pytest.mark.parametrize(
    ("text", "path", "near"),
    [
        ("rates: {type: float, range: [0, 1]}", "rates", "'rate'"),
        ("blocks: {type: int, range: [1, 2], submodule: {size: {type: bool}}}", "blocks.size", "'blocks.kind'"),
    ],
)
def test_what_the_estimator_does_not_take_is_refused(text: str, path: str, near: str) -> None:
    with pytest.raises(SpaceError, match=f"'{path}', which estimator 'mine' does not take") as caught:
        given(text)
    assert near in str(caught.value.hint)
