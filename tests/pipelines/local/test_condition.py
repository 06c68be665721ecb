"""Conditions and selectors: what kfp's compiler writes, and nothing more."""

from __future__ import annotations

import pytest

from omniforge.errors import SpecError
from omniforge.pipelines.local.condition import holds, parse_condition, select

VALUES = {"n": 3, "real": 0.5, "text": "a && !b", "flag": True, "written": "4"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.parameter_values['text'] == 'a && !b'", True),
        ("inputs.parameter_values['text'] != 'a && !b'", False),
        ("int(inputs.parameter_values['n']) > 2", True),
        ("int(inputs.parameter_values['n']) >= 4", False),
        ("int(inputs.parameter_values['written']) == 4", True),
        ("double(inputs.parameter_values['n']) == 3.0", True),
        ("inputs.parameter_values['real'] < 1.0", True),
        ("inputs.parameter_values['real'] <= -1.0", False),
        ("inputs.parameter_values['flag'] == true", True),
        ("inputs.parameter_values['flag'] == false", False),
        ("!(inputs.parameter_values['flag'] == true)", False),
        ("!(inputs.parameter_values['n'] == 1) && !(inputs.parameter_values['n'] == 2)", True),
        ("inputs.parameter_values['n'] == 1 || inputs.parameter_values['n'] == 3", True),
        ("true && (false || true)", True),
    ],
)
def test_a_condition_has_the_value_it_has_on_a_cluster(text: str, expected: bool) -> None:
    assert holds(text, VALUES) is expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "inputs.parameter_values['n'].real == 3",
        "[x for x in (1, 2)] == 1",
        "inputs.other['n'] == 1",
        "size(inputs.parameter_values['text']) == 1",
        "1 < 2 < 3",
        "inputs.parameter_values['n'] ==",
        "",
    ],
)
def test_what_kfp_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="cannot be evaluated"):
        parse_condition(text)


@pytest.mark.parametrize("text", ["inputs.parameter_values['absent'] == 1", "inputs.parameter_values['text'] > 1"])
def test_a_value_that_is_missing_or_of_another_type_is_an_error(text: str) -> None:
    with pytest.raises(SpecError, match="cannot be evaluated"):
        holds(text, VALUES)


def test_a_selector_reads_a_field_of_a_mapping_or_of_its_json() -> None:
    assert select({"a": {"b": 2}}, 'parseJson(string_value)["a"]["b"]') == 2
    assert select('{"a": [1]}', 'parseJson(string_value)["a"]') == [1]


def test_a_selector_names_the_field_that_is_missing() -> None:
    with pytest.raises(SpecError, match="no field 'c'"):
        select({"a": 1}, 'parseJson(string_value)["c"]')
