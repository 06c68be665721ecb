from __future__ import annotations

import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search.space.conditions import parse_condition
from omniforge.search.space.document import read_yaml

BASE = """\
optimizer: {type: choice, range: [sgd, adam, lion]}
depth: {type: int, range: [1...8]}
rate: {type: float, range: [0.0, 1.0]}
size: {type: ordinal, range: [small, medium, large]}
flag: {type: bool}
"""


def space(when: str) -> SearchSpace:
    return SearchSpace.from_yaml(f"{BASE}extra:\n  type: bool\n  when: {when}\n")


def active(when: str, **values) -> bool:
    config = {"optimizer": "sgd", "depth": 4, "rate": 0.5, "size": "medium", "flag": True} | values
    return space(when).parameters["extra"].active(config)


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ("{optimizer: sgd}", {"optimizer": "sgd"}, {"optimizer": "adam"}),
        ("{optimizer: [sgd, adam]}", {"optimizer": "adam"}, {"optimizer": "lion"}),
        ("{optimizer: {not: sgd}}", {"optimizer": "lion"}, {"optimizer": "sgd"}),
        ("{optimizer: {not: [sgd, lion]}}", {"optimizer": "adam"}, {"optimizer": "lion"}),
        ("{optimizer: {in: [sgd]}}", {"optimizer": "sgd"}, {"optimizer": "adam"}),
        ("{depth: {min: 3}}", {"depth": 3}, {"depth": 2}),
        ("{depth: {max: 3}}", {"depth": 3}, {"depth": 4}),
        ("{depth: {min: 3, max: 5, not: 4}}", {"depth": 5}, {"depth": 4}),
        ("{rate: {min: 0.25}}", {"rate": 0.25}, {"rate": 0.2}),
        ("{size: {min: medium}}", {"size": "large"}, {"size": "small"}),
        ("{flag: true}", {"flag": True}, {"flag": False}),
        ("{optimizer: [sgd, adam], depth: {min: 3}}", {"depth": 3}, {"depth": 2}),
        ("[{optimizer: lion}, {depth: {min: 7}}]", {"depth": 7}, {"depth": 6}),
    ],
)
def test_conditions_hold(when, yes, no):
    assert active(when, **yes)
    assert not active(when, **no)


def test_a_condition_on_an_inactive_parameter_does_not_hold():
    chain = SearchSpace.from_yaml(
        "a: {type: bool}\nb: {type: bool, when: {a: true}}\nc: {type: bool, when: {b: {not: true}}}\n"
    )
    assert not chain.is_valid({"a": False, "c": True})
    assert chain.is_valid({"a": False})
    assert chain.is_valid({"a": True, "b": False, "c": True})


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{optimizer: sdg}", "line 8: extra.when: optimizer is never 'sdg'"),
        ("{depth: 9}", "line 8: extra.when: depth is never 9"),
        ("{depth: {min: 9}}", "line 8: extra.when: depth can never be {min: 9}"),
        ("{depth: {min: 5, max: 4}}", "can never be"),
        ("{depth: {min: many}}", "min and max must be numbers; found 'many'"),
        ("{optimizer: {min: 3}}", "a choice, whose values have no order"),
        ("{flag: {max: 1}}", "a bool, whose values have no order"),
        ("{size: {min: huge}}", "size is never 'huge'"),
        ("{optimizer: {not: [sgd, adam, lion]}}", "can never be"),
        ("{depth: {above: 3}}", "line 8: extra.when.depth: 'above' is not a test"),
        ("{depth: {}}", "an empty mapping is not a test"),
        ("{depth: []}", "expected a list of values"),
        ("sgd", "expected a mapping from parameters to values; found 'sgd'"),
        ("[]", "the list of conditions is empty"),
        ("{}", "expected a mapping"),
        ("{optimiser: sgd}", "there is no parameter 'optimiser' here"),
        ("{depth: {in: 3}}", "expected a list of values"),
    ],
)
def test_wrong_conditions_are_refused_with_their_line(when, message):
    with pytest.raises(SpaceError) as caught:
        space(when)
    assert message in str(caught.value)
    assert "line " in str(caught.value)


def test_the_hint_has_the_near_name():
    with pytest.raises(SpaceError) as caught:
        space("{optimizer: sdg}")
    assert caught.value.hint == "Did you mean 'sgd'?"
    with pytest.raises(SpaceError) as caught:
        space("{optimiser: sgd}")
    assert "'optimizer'" in caught.value.hint


def test_conditions_do_not_read_cells():
    with pytest.raises(SpaceError, match="arch is a cell"):
        SearchSpace.from_yaml("arch: {type: cell, nodes: 3, operations: [a, b]}\nx: {type: bool, when: {arch: a}}")


@pytest.mark.parametrize(
    "when", ["{a: 1}", "{a: [1, 2]}", "{a: {min: 1, max: 2, not: 3}}", "[{a: 1}, {b: {not: [1, 2]}}]"]
)
def test_a_condition_is_written_as_it_was_read(when):
    node = read_yaml(f"when: {when}").get("when")
    condition = parse_condition(node, "x.when")
    assert condition.plain() == node.plain()


def test_list_values_are_written_so_that_they_read_back():
    text = "h: {type: choice, range: [[64], [64, 64]]}\nx: {type: bool, when: {h: {in: [[64]]}}}"
    once = SearchSpace.from_yaml(text)
    assert SearchSpace.from_yaml(once.to_yaml()) == once
    assert once.parameters["x"].active({"h": [64]})
    assert not once.parameters["x"].active({"h": [64, 64]})
