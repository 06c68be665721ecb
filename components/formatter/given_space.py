"""A search space that the user gives, against what the estimator takes: typing errors are refused, gaps keep defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import SpaceError, UnknownNameError

if TYPE_CHECKING:
    from ...search import Parameter, SearchSpace
    from ...search.space.declaration import Declaration

_SHOWN = 8


def complete_space(given: SearchSpace, own: SearchSpace, *, estimator: str) -> tuple[SearchSpace, list[str]]:
    """Return ``given`` with every parameter of ``own`` that it lacks as a constant, and a sentence that names them.

    Args:
        given: The user's space.
        own: The estimator's own.
        estimator: The estimator's name, for messages.

    Raises:
        SpaceError: ``given`` has a parameter that the estimator does not take.
    """
    known = _declarations(own)
    for path in _declarations(given):
        if path not in known:
            near = UnknownNameError("parameter", path, known).hint
            raise SpaceError(
                f"The space has the parameter {path!r}, which estimator {estimator!r} does not take.", hint=near
            )
    first = {parameter.template: parameter for parameter in reversed(list(own.parameters.values()))}
    fixed: dict[str, Any] = {}
    for path, declaration in known.items():
        if path in _declarations(given) or any(path.startswith(f"{above}.") for above in fixed):
            continue
        opened = _with_group(given, first[path], own)
        if opened is not None:
            given = opened.add(path, _frozen(declaration))
            fixed[path] = _default(declaration)
    if not fixed:
        return given, []
    listed = ", ".join(f"{path} = {value}" for path, value in list(fixed.items())[:_SHOWN])
    more = f" and {len(fixed) - _SHOWN} more" if len(fixed) > _SHOWN else ""
    return given, [f"Not in the given space, so kept at their defaults: {listed}{more}."]


def _declarations(space: SearchSpace) -> dict[str, Declaration]:
    """Return what is declared by path without indices, parents first."""
    return dict(found for item in space.declarations for found in item.walk())


def _with_group(given: SearchSpace, parameter: Parameter, own: SearchSpace) -> SearchSpace | None:
    """Return ``given`` with the group that the parameter belongs to; None where it can never be active."""
    if parameter.parent is None:
        return given
    parent = own.parameters[parameter.parent].template
    declared = _declarations(given).get(parent)
    if declared is None:
        return None
    repeated = parameter.index is not None
    if not repeated and not declared.domain.contains(parameter.branch):
        return None
    if declared.domain.kind != "constant":
        return given
    value = declared.domain.default()  # a constant has no submodule; the same value as a range has
    return given.edit(parent, type="int" if repeated else "choice", range=[value, value] if repeated else [value])


def _frozen(declaration: Declaration) -> dict[str, Any]:
    """Return the declaration with its default as the only value; a cell, which has none, as it is."""
    if declaration.domain.kind == "cell":
        return declaration.to_dict()
    value = _default(declaration)
    inside = declaration.children or dict(declaration.branches).get(value, ())
    below = {child.name: _frozen(child) for child in inside}
    spec: dict[str, Any]
    if declaration.children:
        spec = {"type": "int", "range": [value, value], "submodule": below}
    elif below:
        spec = {"type": "choice", "range": [value], "submodule": {value: below}}
    else:
        spec = {"type": "constant", "value": value}
    return spec if declaration.when is None else {**spec, "when": declaration.when.plain()}


def _default(declaration: Declaration) -> Any:
    from ...search.space.values import ABSENT

    declared = declaration.default
    return declaration.domain.default() if declared is ABSENT else declared
