from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conformance.spaces import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace

TEXT = """\
optimizer: {type: choice, range: [sgd, adam]}
momentum: {type: float, range: [0.0, 0.99], when: {optimizer: sgd}, default: 0.9}
depth: {type: int, range: [1...4], default: 2}
forbid:
  - {optimizer: adam, depth: {min: 3}}
"""
SPACE = SearchSpace.from_yaml(TEXT)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_sampling_is_uniform_over_the_conditional_tree():
    space = SearchSpace.from_yaml("k: {type: choice, range: {a, b}, submodule: {a: {w: {type: int, range: [1...10]}}}}")
    configs = space.sample_many(4000, rng())
    assert abs(Counter(config["k"] for config in configs)["a"] - 2000) < 130
    assert all(("k.a.w" in config) == (config["k"] == "a") for config in configs)


def test_sampling_respects_rules_and_repeats_with_the_seed():
    configs = SPACE.sample_many(300, rng(7))
    assert configs == SPACE.sample_many(300, rng(7))
    assert not any(config["optimizer"] == "adam" and config["depth"] >= 3 for config in configs)
    for config in configs:
        SPACE.validate(config)


def test_configurations_do_not_share_values():
    space = SearchSpace.from_yaml("arch: {type: cell, nodes: 3, operations: [a, b]}\nk: {type: constant, value: [1]}")
    first, second = space.default(), space.default()
    first["arch"]["0-1"] = "b"
    first["k"].append(2)
    assert second == space.default()


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"optimizer": "adam"}, "depth: is active and has no value", "an integer from 1 to 4"),
        ({"optimizer": "adam", "depth": 9}, "depth: 9 is not allowed; expected an integer from 1 to 4", "integer"),
        ({"optimizer": "adam", "depth": True}, "depth: true is not allowed", "integer"),
        ({"optimizer": "adm", "depth": 1}, "optimizer: 'adm' is not allowed; expected one of 'sgd', 'adam'", "one of"),
        (
            {"optimizer": "adam", "momentum": 0.1, "depth": 1},
            "momentum: has the value 0.1 but is not active",
            "Leave it out",
        ),
        ({"optimizer": "adam", "depth": 1, "dpeth": 1}, "the space has no parameter 'dpeth'", "'depth'"),
        (
            {"optimizer": "adam", "depth": 3},
            "forbidden by the rule {optimizer: 'adam', depth: {min: 3}} (line 5",
            "Change",
        ),
        ({}, "optimizer: is active and has no value", "complete()"),
        ({"optimizer": ["sgd"], "depth": 1}, "optimizer: ['sgd'] is not allowed", "one of"),
    ],
)
def test_wrong_configurations_are_named(config, message, hint):
    with pytest.raises(SpaceError) as caught:
        SPACE.validate(config)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not SPACE.is_valid(config)


def test_complete_fills_defaults_of_what_is_active():
    assert SPACE.complete({"optimizer": "sgd"}) == {"optimizer": "sgd", "momentum": 0.9, "depth": 2}
    assert SPACE.complete({"optimizer": "adam", "depth": np.int64(1)}) == {"optimizer": "adam", "depth": 1}
    assert SPACE.default() == SPACE.complete({})


def test_complete_moves_defaults_that_a_rule_forbids_but_not_what_was_given():
    assert SPACE.complete({"depth": 4})["optimizer"] == "sgd"
    space = SearchSpace.from_dict(SPACE.to_dict() | {"depth": {"type": "int", "range": [1, 4], "default": 4}})
    assert space.complete({"optimizer": "adam"}) == {"optimizer": "adam", "depth": 2}


@pytest.mark.parametrize(
    ("partial", "message"),
    [
        ({"optimizer": "adam", "momentum": 0.5}, "momentum: has the value 0.5 but is not active"),
        ({"optimizer": "adam", "depth": 4}, "forbidden by the rule"),
        ({"speed": 1}, "no parameter 'speed'"),
        ({"depth": 0}, "depth: 0 is not allowed"),
    ],
)
def test_complete_refuses_what_does_not_fit(partial, message):
    with pytest.raises(SpaceError) as caught:
        SPACE.complete(partial)
    assert message in str(caught.value)


def test_the_default_gives_way_to_the_rules():
    space = SearchSpace.from_yaml(
        "a: {type: bool}\nb: {type: bool}\nforbid: [{a: false, b: false}, {a: false, b: true}]"
    )
    assert space.default() == {"a": True, "b": False}


def test_repair_moves_one_parameter_to_the_nearest_value():
    assert SPACE.repair({"optimizer": "adam", "depth": 4}) == {"optimizer": "adam", "depth": 2}
    fine = {"optimizer": "adam", "depth": 1}
    assert SPACE.repair(fine) is fine


def test_repair_falls_back_to_redrawing():
    names = "abcdef"
    rules = [{"a": True, name: value} for name in names[1:] for value in ("x", "y")]
    spec = {"a": {"type": "bool"}} | {name: {"type": "choice", "range": ["x", "y", "z"]} for name in names[1:]}
    space = SearchSpace.from_dict(spec | {"forbid": rules})
    config = {"a": True} | dict.fromkeys(names[1:], "x")
    repaired = space.repair(dict(config))
    assert space.is_valid(repaired)
    assert repaired == space.repair(dict(config))


def test_nothing_left_is_said_clearly():
    with pytest.raises(
        SpaceError, match=r"line 2: forbid: the rules leave nothing: every configuration breaks one of"
    ) as caught:
        SearchSpace.from_yaml("a: {type: bool}\nforbid: [{a: true}, {a: false}]")
    assert caught.value.hint == "Remove a rule or widen a range."


def test_the_default_is_found_where_rules_leave_one_configuration():
    rules = "".join(f"  - {{x{k}: {{min: 1}}}}\n" for k in range(6))
    text = "".join(f"x{k}: {{type: int, range: [0...999]}}\n" for k in range(6)) + "forbid:\n" + rules
    space = SearchSpace.from_yaml(text)
    assert space.default() == dict.fromkeys((f"x{k}" for k in range(6)), 0)


def test_repair_finds_what_no_single_move_and_no_redraw_does():
    """With 1 only (700, 700, 700) is allowed; it is nobody's neighbour."""
    ends = "{max: 699}", "{min: 701}"
    rules = ", ".join(f"{{a: 1, x{k}: {end}}}" for k in range(3) for end in ends)
    text = "".join(f"x{k}: {{type: int, range: [1, 1000]}}\n" for k in range(3))
    space = SearchSpace.from_yaml("a: {type: int, range: [0, 1], default: 0}\n" + text + f"forbid: [{rules}]")
    assert space.repair({"a": 1, "x0": 1, "x1": 1, "x2": 1}) == {"a": 0, "x0": 1, "x1": 1, "x2": 1}
    assert space.complete({"a": 1}) == {"a": 1, "x0": 700, "x1": 700, "x2": 700}


def test_listing_needs_an_end():
    with pytest.raises(SpaceError, match="momentum: is continuous"):
        SPACE.configurations()


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_samples_are_valid_complete_and_stable(spec, seed):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError as e:
        assert "the rules leave nothing" in e.message  # noqa: PT017  # the only error that these spaces may raise
        return
    for config in space.sample_many(5, rng(seed)):
        space.validate(config)
        assert space.is_valid(config)
        assert space.complete(config) == config
        for path in config:
            without = {key: value for key, value in config.items() if key != path}
            assert not space.is_valid(without)
    assert space.is_valid(space.default())
