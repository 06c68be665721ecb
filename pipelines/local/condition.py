"""The expressions that a compiled pipeline holds: conditions (the part of CEL that kfp writes) and field selectors.

``dsl.If(task.output == "x")`` compiles to ``inputs.parameter_values['...'] == 'x'``, ``Elif`` and ``Else`` to
conjunctions of negations. Nothing is handed to ``eval``: an expression is parsed to a tree and only the nodes listed
here have a meaning.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import SpecError

_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|&&|\|\||!(?!=)|\btrue\b|\bfalse\b|\bnull\b")
_PYTHON = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "null": "None"}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CONVERT: dict[str, Callable[[Any], Any]] = {
    "int": lambda value: int(float(value)) if isinstance(value, str) else int(value),
    "double": float,
    "string": str,
    "bool": lambda value: value.lower() == "true" if isinstance(value, str) else bool(value),
}


def parse_condition(text: str) -> ast.expr:
    """Parse a condition.

    Raises:
        SpecError: It uses what this runner does not understand.
    """
    python = _TOKEN.sub(lambda match: _PYTHON.get(match.group(), match.group()), text)
    try:
        tree = ast.parse(python.strip(), mode="eval").body
        _check(tree)
    except (SyntaxError, ValueError) as e:
        raise SpecError(f"Condition {text!r} cannot be evaluated here.", hint=f"In the compiled pipeline: {e}.") from e
    return tree


def holds(text: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a condition is true.

    Args:
        text: The condition, as the compiler wrote it.
        parameters: The task's input parameters by name.

    Raises:
        SpecError: It cannot be parsed, reads a parameter that has no value, or compares what cannot be compared.
    """
    try:
        return bool(_evaluate(parse_condition(text), parameters))
    except (KeyError, TypeError, ValueError) as e:
        raise SpecError(f"Condition {text!r} cannot be evaluated: {e}.") from e


def select(value: Any, expression: str) -> Any:
    """Apply a field selector, such as ``parseJson(string_value)["lr"]``, to a loop's item.

    Raises:
        SpecError: The item has no such field.
    """
    if expression.startswith("parseJson(") and isinstance(value, str):
        value = json.loads(value)
    for key in re.findall(r"\[\"([^\"]*)\"\]", expression):
        if not isinstance(value, Mapping) or key not in value:
            raise SpecError(f"An item of a loop has no field {key!r}: {json.dumps(value)[:200]}.")
        value = value[key]
    return value


def _check(node: ast.expr) -> None:
    """Raise ValueError for a node that has no meaning here."""
    if isinstance(node, ast.BoolOp):
        children = list(node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        children = [node.operand]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        children = [node.left, node.comparators[0]]
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _CONVERT
        and len(node.args) == 1
    ):
        children = [node.args[0]]
    elif isinstance(node, ast.Constant) or _parameter(node) is not None:
        children = []
    else:
        raise ValueError(f"{ast.unparse(node)!r} is not supported")
    for child in children:
        _check(child)


def _parameter(node: ast.expr) -> str | None:
    """Return NAME of ``inputs.parameter_values['NAME']``; None for any other node."""
    if (
        isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "inputs.parameter_values"
        and isinstance(node.slice, ast.Constant)
    ):
        return str(node.slice.value)
    return None


def _evaluate(node: ast.expr, parameters: Mapping[str, Any]) -> Any:
    match node:
        case ast.BoolOp(op=ast.And()):
            return all(_evaluate(child, parameters) for child in node.values)
        case ast.BoolOp():
            return any(_evaluate(child, parameters) for child in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _evaluate(node.operand, parameters)
        case ast.UnaryOp():
            return -_evaluate(node.operand, parameters)
        case ast.Compare():
            left, right = _evaluate(node.left, parameters), _evaluate(node.comparators[0], parameters)
            return _COMPARE[type(node.ops[0])](left, right)
        case ast.Call(func=ast.Name(id=name)):
            return _CONVERT[name](_evaluate(node.args[0], parameters))
        case ast.Constant():
            return node.value
    return parameters[_parameter(node) or ""]
