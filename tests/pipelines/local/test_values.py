"""Parameter values: types, defaults, arguments, placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from omniforge.errors import SpecError, UnknownNameError
from omniforge.pipelines.local.values import MISSING, bind, constant, default_of, placeholders, resolve, typed

INTEGER = {"parameterType": "NUMBER_INTEGER"}
DOUBLE = {"parameterType": "NUMBER_DOUBLE"}
LIST = {"parameterType": "LIST"}
DEFINITIONS = {
    "name": {"parameterType": "STRING"},
    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 2.0, "isOptional": True},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 1.0, "isOptional": True},
    "flag": {"parameterType": "BOOLEAN", "defaultValue": False, "isOptional": True},
    "items": {"parameterType": "LIST", "defaultValue": [1.0, {"n": 2.0}], "isOptional": True},
    "table": {"parameterType": "STRUCT", "isOptional": True},
}


def bound(**arguments: Any) -> dict[str, Any]:
    return bind(DEFINITIONS, {"name": "x", **arguments}, pipeline="p")


def test_defaults_fill_in_and_whole_numbers_are_ints() -> None:
    values = bound()
    assert values == {"name": "x", "count": 2, "rate": 1.0, "flag": False, "items": [1, {"n": 2}]}
    assert type(values["count"]) is int
    assert type(values["rate"]) is float
    assert type(values["items"][0]) is int


def test_arguments_take_the_declared_type() -> None:
    values = bound(count=3.0, rate=2, items=(1, 2.5), table={"a": 1})
    assert (type(values["count"]), type(values["rate"])) == (int, float)
    assert values["items"] == [1, 2.5]
    assert values["table"] == {"a": 1}


def test_none_is_a_value_for_an_optional_parameter_only() -> None:
    assert bound(table=None)["table"] is None
    with pytest.raises(SpecError, match="'name' is None; expected a string"):
        bound(name=None)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", "3", "an integer"),
        ("count", 2.5, "an integer"),
        ("count", True, "an integer"),
        ("rate", False, "a number"),
        ("flag", 1, "true or false"),
        ("items", "[1]", "a list"),
        ("table", [1], "a mapping"),
        ("name", 3, "a string"),
    ],
)
def test_a_wrong_type_is_named(name: str, value: object, expected: str) -> None:
    with pytest.raises(SpecError, match=f"'{name}' is .*expected {expected}"):
        bound(**{name: value})


def test_an_argument_that_is_not_json_is_named() -> None:
    with pytest.raises(SpecError, match=r"'items' .* not a JSON value"):
        bound(items=[object()])


def test_a_missing_argument_and_an_unknown_one_are_named() -> None:
    with pytest.raises(SpecError, match="'name' of pipeline 'p' has no value"):
        bind(DEFINITIONS, {}, pipeline="p")
    with pytest.raises(UnknownNameError, match="'cuont'") as caught:
        bound(cuont=3)
    assert caught.value.nearest == ("count",)


def test_numbers_take_their_declared_type_and_others_stay() -> None:
    assert type(typed(2.0, INTEGER)) is int
    assert typed(2.5, INTEGER) == 2.5
    assert type(typed(2, DOUBLE)) is float
    assert typed(True, INTEGER) is True
    assert typed([1, 2.0], LIST) == [1, 2.0]
    assert type(typed([2.0], LIST)[0]) is float  # what a component returned is not touched


def test_a_constant_keeps_a_double_and_turns_whole_numbers_inside_into_ints() -> None:
    assert type(constant(3.0, DOUBLE)) is float
    assert [type(one) for one in constant([3.0, 2.5, "a"], LIST)] == [int, float, str]
    assert default_of({}) is MISSING


def test_placeholders_are_replaced_at_any_depth() -> None:
    inputs = {"pipelinechannel--a": "x", "n": 3, "table": {"k": {"j": 2}}}
    value = [
        "{{$.inputs.parameters['pipelinechannel--a']}}-{{$.inputs.parameters['n']}}",
        {"{{$.pipeline_job_name}}": 1},
    ]
    assert resolve(value, inputs, names={"pipeline_job_name": "run"}) == ["x-3", {"run": 1}]
    assert resolve("{{$.inputs.parameters['table']['k']}}", inputs, names={}) == '{"j": 2}'


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(SpecError, match="workspace_path"):
        resolve("{{$.workspace_path}}", {}, names={})
    assert placeholders(["{{$.workspace_path}}", "{{$.inputs.parameters['n']}}"]) == {"workspace_path"}
