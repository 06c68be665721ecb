from __future__ import annotations

import random
from typing import Any

import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace


def shuffled(value: Any, rng: random.Random) -> Any:
    """Return nested mappings with their keys in another order."""
    if not isinstance(value, dict):
        return value
    keys = list(value)
    rng.shuffle(keys)
    return {key: shuffled(value[key], rng) for key in keys}


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_the_hash_does_not_depend_on_the_order_of_keys(spec, seed):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError:
        return
    other = SearchSpace.from_dict(shuffled(spec, random.Random(seed)))
    assert other.hash == space.hash
    assert other == space
    assert not other.diff(space)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("range: [a, b]", "range: {b, a}"),
        ("range: [64, 256]", "range: [64.0, 256.0]"),
        ("range: [a, b], weights: [2, 1]", "range: [b, a], weights: {a: 2}"),
    ],
)
def test_one_choice_in_two_writings(first, second):
    spaces = [SearchSpace.from_yaml(f"x: {{type: choice, {text}}}") for text in (first, second)]
    assert spaces[0] == spaces[1]
    assert len(set(spaces)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x: {type: int, range: [1, 4]}",
        "x: {type: int, range: [1, 3], log: true}",
        "x: {type: int, range: [1, 3], default: 1}",
        "x: {type: int, range: [1, 3], prior: {normal: {mean: 2, std: 1}}}",
        "x: {type: float, range: [1, 3]}",
        "y: {type: int, range: [1, 3]}",
        "x: {type: int, range: [1, 3]}\ny: {type: bool}",
        "x: {type: int, range: [1, 3]}\nforbid: [{x: 1}]",
    ],
)
def test_what_changes_the_meaning_changes_the_hash(text):
    assert SearchSpace.from_yaml(text) != SearchSpace.from_yaml("x: {type: int, range: [1, 3]}")


def test_hashes_are_the_same_in_every_process_and_version():
    space = SearchSpace.from_yaml(LISTING_2)
    assert space.hash == "91e13af7c82cbcc874d70be11aa5393437160b5fcb897fb40bd48ea7cfa5a51e"
    assert (
        space.config_hash({"backbone_nums_block": 2, "x": [1.0]})
        == "d77d3f9fe82f2f1dfd98c1a493cf828f45ab986f7c4688826500149fe0a4adef"
    )


def test_config_hashes_depend_on_paths_and_values_only():
    one = SearchSpace.from_yaml("x: {type: float, range: [0, 1]}\nk: {type: choice, range: [64]}")
    two = SearchSpace.from_yaml("k: {type: choice, range: [32, 64]}\nx: {type: float, range: [0, 2]}")
    assert one.config_hash({"x": 1.0, "k": 64}) == two.config_hash({"k": 64.0, "x": 1})
    assert one.config_hash({"x": 0.5, "k": 64}) != one.config_hash({"x": 0.25, "k": 64})
