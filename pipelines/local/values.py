"""Parameter values: types, defaults, the arguments of a run, and the text that stands for a value known later.

All values are plain JSON. KFP's document cannot tell 1 from 1.0 (protobuf keeps numbers as doubles), so whole numbers
in a constant or a default become ints inside lists and structs, which is what a component sees on a cluster; values
that components return keep the type that they were returned with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ...errors import SpecError, UnknownNameError
from .ir import Json

_PLACEHOLDER = re.compile(r"\{\{\$\.([^}]+)\}\}")
_INPUT = re.compile(r"inputs\.parameters\[\s*['\"](.+?)['\"]\s*\](.*)")

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "STRING": ((str,), "a string"),
    "NUMBER_INTEGER": ((int,), "an integer"),
    "NUMBER_DOUBLE": ((int, float), "a number"),
    "BOOLEAN": ((bool,), "true or false"),
    "LIST": ((list, tuple), "a list"),
    "STRUCT": ((Mapping,), "a mapping"),
}


class _Missing:
    """The type of :data:`MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for an input or output that has no value, as opposed to the value None."""


def typed(value: Any, definition: Json) -> Any:
    """Return a number in the type that its parameter declares; any other value as it is."""
    kind = definition.get("parameterType")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if kind == "NUMBER_INTEGER" and float(value).is_integer():
        return int(value)
    return float(value) if kind == "NUMBER_DOUBLE" else value


def constant(value: Any, definition: Json) -> Any:
    """Return a value written in the compiled document as the component that declares it shall see it."""
    if isinstance(value, list | Mapping) or "parameterType" not in definition:
        return _whole(value)
    return typed(value, definition)


def default_of(definition: Json) -> Any:
    """Return a parameter's default value, :data:`MISSING` where it has none."""
    if "defaultValue" not in definition:
        return MISSING
    return constant(definition["defaultValue"], definition)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def bind(definitions: Json, arguments: Mapping[str, Any], *, pipeline: str) -> dict[str, Any]:
    """Check the arguments of a run against the pipeline's parameters and fill in the defaults.

    Args:
        definitions: The pipeline's input parameters by name.
        arguments: What the caller gave.
        pipeline: The pipeline's name, for the errors.

    Raises:
        UnknownNameError: An argument has no such parameter.
        SpecError: A required parameter has no argument, or an argument is of another type.
    """
    for name in arguments:
        if name not in definitions:
            raise UnknownNameError(f"parameter of pipeline {pipeline!r}", name, definitions)
    bound: dict[str, Any] = {}
    for name, definition in definitions.items():
        value = arguments.get(name, MISSING)
        if value is MISSING:
            value = default_of(definition)
            if value is MISSING and not definition.get("isOptional"):
                raise SpecError(
                    f"Parameter {name!r} of pipeline {pipeline!r} has no value and no default.",
                    hint=f"Give {name} = {_kind(definition)}.",
                )
        else:
            value = _checked(name, value, definition)
        if value is not MISSING:
            bound[name] = value
    return bound


def _checked(name: str, value: Any, definition: Json) -> Any:
    types, _ = _KINDS.get(definition.get("parameterType", ""), ((object,), ""))
    optional = value is None and definition.get("isOptional", False)
    is_bool_for_number = isinstance(value, bool) and bool not in types and object not in types
    whole = typed(value, definition)
    if not optional and (is_bool_for_number or not isinstance(whole, types)):
        raise SpecError(f"Parameter {name!r} is {value!r}; expected {_kind(definition)}.")
    try:
        return json.loads(json.dumps(whole))
    except (TypeError, ValueError) as e:
        raise SpecError(f"Parameter {name!r} is {value!r}, which is not a JSON value: {e}.") from e


def _kind(definition: Json) -> str:
    return _KINDS.get(definition.get("parameterType", ""), ((), "a value"))[1]


def resolve(value: Any, inputs: Mapping[str, Any], *, names: Mapping[str, str]) -> Any:
    """Replace the placeholders in a constant of the document by what they stand for.

    A constant holds placeholders where the author wrote an f-string over an output or a parameter, or one of kfp's
    names such as ``dsl.PIPELINE_JOB_NAME_PLACEHOLDER``. Values that components return are never searched for
    placeholders.

    Args:
        value: The constant: text, or a list or mapping that holds text.
        inputs: The task's other inputs by name.
        names: What stands for ``{{$.NAME}}``, by NAME.

    Raises:
        SpecError: A placeholder stands for something that does not exist here.
    """
    if isinstance(value, Mapping):
        return {resolve(key, inputs, names=names): resolve(item, inputs, names=names) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, inputs, names=names) for item in value]
    if not isinstance(value, str):
        return value
    return _PLACEHOLDER.sub(lambda match: _stands_for(match, inputs, names), value)


def placeholders(value: Any) -> set[str]:
    """Return the names of the placeholders in a constant that stand for anything but an input of the task."""
    text = value if isinstance(value, str) else json.dumps(value)
    return {name for name in _PLACEHOLDER.findall(text) if not name.startswith("inputs.")}


def _stands_for(match: re.Match[str], inputs: Mapping[str, Any], names: Mapping[str, str]) -> str:
    found = names.get(match.group(1), MISSING)
    reference = _INPUT.fullmatch(match.group(1))
    if reference is not None:
        found = inputs.get(reference.group(1), MISSING)
        for key in re.findall(r"\[\s*['\"](.+?)['\"]\s*\]", reference.group(2)):
            found = found.get(key, MISSING) if isinstance(found, Mapping) else MISSING
    if found is MISSING:
        raise SpecError(f"Placeholder {match.group()!r} stands for something that has no value.")
    return found if isinstance(found, str) else json.dumps(found)
