from __future__ import annotations

import numpy as np
import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def changed(before: dict, after: dict) -> set[str]:
    return {path for path in before if path in after and before[path] != after[path]}


def test_neighbors_differ_in_one_parameter_and_keep_the_rest():
    space = SearchSpace.from_yaml(LISTING_2)
    config = space.sample(rng())
    for other in space.neighbors(config, rng(), count=20):
        space.validate(other)
        assert len(changed(config, other)) == 1


def test_what_becomes_active_is_drawn():
    space = SearchSpace.from_yaml(
        "k: {type: choice, range: {a, b}, submodule: {b: {w: {type: int, range: [1...100]}}}}"
    )
    drawn = {space.neighbors({"k": "a"}, rng(seed), count=1)[0]["k.b.w"] for seed in range(20)}
    assert len(drawn) > 5


def test_a_small_space_gives_what_it_has():
    space = SearchSpace.from_yaml("a: {type: bool}\nb: {type: bool}\nforbid: [{a: true, b: true}]")
    assert space.neighbors({"a": False, "b": True}, rng(), count=10) == [{"a": False, "b": False}]
    assert SearchSpace.from_yaml("k: {type: constant, value: 1}").neighbors({"k": 1}, rng(), count=3) == []


def test_isomorphic_cells_are_no_neighbors():
    space = SearchSpace.from_yaml("c: {type: cell, nodes: 3, operations: [none, conv], zero: none}")
    config = {"c": {"0-1": "none", "0-2": "conv", "1-2": "none"}}
    for other in space.neighbors(config, rng(), count=5):
        assert space.config_hash(other) != space.config_hash(config)


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_neighbors_are_valid_different_and_repeatable(spec, seed):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError:
        return
    config = space.sample(rng(seed))
    others = space.neighbors(config, rng(seed), count=4)
    assert others == space.neighbors(config, rng(seed), count=4)
    hashes = {space.config_hash(other) for other in [config, *others]}
    assert len(hashes) == len(others) + 1
    assert all(space.is_valid(other) for other in others)
