from __future__ import annotations

import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search.space.numeric import Normal


def domain(spec: str):
    return SearchSpace.from_yaml(f"x: {{{spec}}}").parameters["x"].domain


@pytest.mark.parametrize(
    "spec", ["range: [2...5]", "range: 2...5", "range: [2, 5]", "range: [2 ... 5]", "range: [2.0, 5e0]"]
)
def test_integer_ranges(spec):
    found = domain(f"type: int, {spec}")
    assert (found.low, found.high) == (2, 5)
    assert type(found.low) is int


@pytest.mark.parametrize("spec", ["range: [1e-4...1e-1]", "range: [1e-4, 0.1]", "range: [.0001...0.1]"])
def test_float_ranges(spec):
    found = domain(f"type: float, {spec}, log: true")
    assert (found.low, found.high, found.log) == (1e-4, 0.1, True)


def test_negative_spans():
    found = domain("type: int, range: [-5...-2]")
    assert (found.low, found.high) == (-5, -2)


@pytest.mark.parametrize("spec", ["range: {a, 64, true}", "range: [a, 64, true]"])
def test_listed_values_keep_order_and_types(spec):
    assert domain(f"type: choice, {spec}").values == ("a", 64, True)
    assert domain(f"type: ordinal, {spec}").values == ("a", 64, True)


@pytest.mark.parametrize("spec", ["weights: [3, 1]", "weights: {a: 3}", "prior: {weights: {a: 3, b: 1}}"])
def test_weights(spec):
    assert domain(f"type: choice, range: [a, b], {spec}").weights == (3.0, 1.0)


def test_priors_and_steps():
    assert domain("type: float, range: [0, 1], prior: {normal: {mean: 0.2, std: 0.1}}").prior == Normal(0.2, 0.1)
    assert domain("type: int, range: [0, 10], step: 5").step == 5
    assert domain("type: bool, weights: {true: 9}").weights == (1.0, 9.0)
    assert domain("type: constant, value: [1, 2]").value == [1, 2]
    assert domain("type: constant, value: null").value is None


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("type: int, range: [5, 2]", "the range [5, 2] is empty", "range: [2, 5]"),
        ("type: int, range: [5...2]", "the range [5, 2] is empty", "range: [2, 5]"),
        ("type: int", "the key 'range' is missing", "range: [2...5]"),
        ("type: int, range: []", "is two numbers; found []", "range: [2...5]"),
        ("type: int, range: [1, 2, 4]", "is two numbers; found [1, 2, 4]", "type: choice"),
        ("type: int, range: {64, 256}", "is two numbers", "type: choice"),
        ("type: int, range: [1.5, 3]", "1.5 in range is not an integer", "type: float"),
        ("type: int, range: [0, 1e20]", "is not an integer between -2^53 and 2^53", "float"),
        ("type: int, range: [a, b]", "'a' in range is not a finite number", "range"),
        ("type: float, range: [0, .inf]", "inf in range is not a finite number", "range"),
        ("type: float, range: [.nan, 1]", "nan in range is not a finite number", "range"),
        ("type: float, range: [-1e308, 1e308]", "too wide", ""),
        ("type: float, range: [0, 1], log: true", "log: true needs a range above 0; its low end is 0", "above 0"),
        ("type: float, range: [-1, 1], log: true", "log: true needs a range above 0", "above 0"),
        ("type: float, range: [1, 2], log: maybe", "log is 'maybe'; expected true or false", "log: true"),
        ("type: float, range: [0, 1], step: 0", "step is 0; expected a positive number", "step"),
        ("type: int, range: [0, 9], step: -2", "step is -2; expected a positive integer", "step"),
        ("type: int, range: [0, 9], step: 0.5", "step is 0.5; expected a positive integer", "step"),
        ("type: int, range: [0, 9], step: 10", "step 10 is wider than the range", "smaller"),
        ("type: float, range: [0, 1], step: 1e-300", "too small", "step"),
        ("type: float, range: [0, 1], prior: {normal: {mean: 2, std: 1}}", "the prior's mean is 2", "into the range"),
        ("type: float, range: [0, 1], prior: {normal: {mean: 0, std: 0}}", "the prior's std is 0", "normal"),
        ("type: float, range: [0, 1], prior: {beta: {a: 1}}", "expected a normal prior", "normal"),
        ("type: float, range: [0, 1], prior: 3", "expected a normal prior", "normal"),
        ("type: choice, range: {}", "range is empty", "range"),
        ("type: choice, range: []", "range is empty", "range"),
        ("type: choice, range: a", "range is 'a'; expected a set of values", "range"),
        ("type: choice, range: [2...5]", "'2...5' is a span of numbers", "type: int"),
        ("type: choice, range: [a, b, a]", "the value 'a' stands twice", "Remove"),
        ("type: choice, range: [1, 1.0]", "the value 1 stands twice", "Remove"),
        ("type: choice, range: {a: 3, b: 1}", "'a' is followed by 3", "weights"),
        ("type: choice, range: [a, {b: 1}]", "is not a value to choose", "range"),
        ("type: choice, range: [a, b], weights: [1]", "expected 2 positive numbers", "remove it"),
        ("type: choice, range: [a, b], weights: [1, 0]", "expected 2 positive numbers", "remove it"),
        ("type: choice, range: [a, b], weights: {c: 1}", "weights name 'c'", "a, b"),
        ("type: choice, range: [a, b], prior: {normal: {mean: 1}}", "listed values take weights", "weights"),
        ("type: constant", "the key 'value' is missing", "value: 0.1"),
        ("type: constant, value: 1, default: 1", "a constant has a value and no default", "Remove"),
        ("type: integer, range: [1, 2]", "unknown type 'integer'", "'int'"),
        ("type: flaot, range: [1, 2]", "unknown type 'flaot'", "'float'"),
        ("type: categorical, range: [1, 2]", "unknown type 'categorical'", "'choice'"),
        ("type: xyz", "unknown type 'xyz'; expected one of int, float", "Known types"),
        ("type: [int]", "unknown type", "Known types"),
        ("type: int, rnage: [1, 2]", "unknown key 'rnage'", "'range'"),
        ("type: bool, range: [a]", "unknown key 'range' in a parameter of type bool", ""),
        ("type: choice, range: [a], log: true", "unknown key 'log'", ""),
        ("type: cell, operations: [a]", "the key 'nodes' is missing", "nodes: 4"),
        ("type: cell, nodes: 1, operations: [a]", "nodes is 1; expected an integer from 2 to 20", "nodes: 4"),
        ("type: cell, nodes: 4", "the key 'operations' is missing", "operations"),
        ("type: cell, nodes: 4, operations: [1, 2]", "expected different names", "Quote"),
        ("type: cell, nodes: 4, operations: [a, a]", "expected different names", "Quote"),
        ("type: cell, nodes: 4, operations: [a], zero: b", "zero is 'b'; expected one of a", "Leave zero out"),
        ("type: cell, nodes: 4, operations: [a], zero: a, identity: a", "the same operation", ""),
    ],
)
def test_wrong_declarations_are_refused(spec, message, hint):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(f"first: {{type: bool}}\n\nx:\n  {{{spec}}}")
    assert message in caught.value.message
    assert caught.value.message.startswith(("line 3: x", "line 4: x"))
    assert hint in (caught.value.hint or "")
