from __future__ import annotations

import math

import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import assume, given, settings

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace


def test_listing_2_is_counted_exactly():
    block = 4 + sum(2**layers for layers in range(3, 8))
    assert SearchSpace.from_yaml(LISTING_2).size() == sum(block**blocks for blocks in range(2, 6))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("x: {type: float, range: [0, 1]}", math.inf),
        ("x: {type: float, range: [0, 1], step: 0.5}", 3),
        ("x: {type: float, range: [1, 1]}", 1),
        ("x: {type: int, range: [0, 9007199254740992]}", 2**53 + 1),
        ("a: {type: bool}\nx: {type: int, range: [1...5], when: {a: true}}", 6),
        ("a: {type: int, range: [1...1000000]}\nx: {type: bool, when: {a: {min: 10, not: 20}}}", 10 + 2 * 999_990),
        ("a: {type: int, range: [1...4]}\nb: {type: int, range: [1...4]}\nforbid: [{a: {min: 3}, b: {min: 3}}]", 12),
        ("a: {type: constant, value: 1}", 1),
    ],
)
def test_sizes(text, size):
    assert SearchSpace.from_yaml(text).size() == size


@pytest.mark.oracle
@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(spaces(finite=True))
def test_the_size_is_the_number_of_listed_configurations(spec):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError as e:
        assert "the rules leave nothing" in e.message  # noqa: PT017  # the only error that these spaces may raise
        return
    assume(space.size() < 5000)
    listed = list(space.configurations())
    assert len(listed) == space.size()
    assert all(space.is_valid(config) for config in listed[:50])


def test_entangled_spaces_are_out_of_reach_and_say_so():
    names = [f"x{k}" for k in range(40)]
    spec = {name: {"type": "int", "range": [0, 9]} for name in names}
    rules = [{names[k]: {"min": 9}, names[39 - k]: {"min": 9}} for k in range(20)]
    assert SearchSpace.from_dict(spec | {"forbid": rules}).size() == math.inf


def test_rules_that_leave_nothing_of_a_continuous_space_are_found():
    with pytest.raises(SpaceError, match="leave nothing"):
        SearchSpace.from_yaml("x: {type: float, range: [0, 1]}\nforbid: [{x: {max: 0.6}}, {x: {min: 0.5}}]")
    SearchSpace.from_yaml("x: {type: float, range: [0, 1]}\nforbid: [{x: {max: 0.5}}, {x: {min: 0.6}}]")
