"""What a model takes and gives, in MLflow's words. MLflow itself is not needed to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_TYPES = {"b": "boolean", "i": "double", "u": "double", "f": "double", "M": "datetime"}  # by numpy's kind


def input_names(plan: Mapping[str, Any], columns: Sequence[str], *, target: str) -> list[str]:
    """Return the raw columns that a model reads: those that its plan names, else all but the target.

    Args:
        plan: The feature plan; a list ``columns`` of objects with a ``name`` says what is read.
        columns: The columns of the raw rows.
        target: The column to predict.
    """
    planned = plan.get("columns")
    if isinstance(planned, list) and all(isinstance(column, Mapping) and "name" in column for column in planned):
        return [str(column["name"]) for column in planned]
    return [name for name in columns if name != target]


def tensor_signature_of(
    rows: np.ndarray[Any, Any], *, classes: Sequence[Any] | None
) -> dict[str, list[dict[str, Any]]]:
    """Return the signature of a model whose rows are arrays: one tensor in, the columns of a prediction out.

    The tensor has no name: MLflow passes it on as it is, where it would wrap one with a name in a dictionary.

    Args:
        rows: Example rows, ``n x ...``, in the shape and type of the training data.
        classes: The classes; ``None`` for regression.
    """
    tensor = {"dtype": str(rows.dtype), "shape": [-1, *(int(size) for size in rows.shape[1:])]}
    return {"inputs": [{"type": "tensor", "tensor-spec": tensor}], "outputs": _outputs(classes)}


def signature_of(
    rows: pd.DataFrame, inputs: Sequence[str], *, classes: Sequence[Any] | None
) -> dict[str, list[dict[str, Any]]]:
    """Return the signature ``{"inputs": [...], "outputs": [...]}``, each a list of MLflow column specifications.

    Integers are given as ``double``, because a row may lack the value.

    Args:
        rows: Example rows.
        inputs: The columns that the model reads.
        classes: The classes; ``None`` for regression.
    """
    given = [{"name": name, "type": _type_of(rows, name), "required": True} for name in inputs]
    return {"inputs": given, "outputs": _outputs(classes)}


def _outputs(classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    outputs = [{"name": "prediction", "type": _label_type(classes), "required": True}]
    return outputs + [{"name": f"proba_{label}", "type": "double", "required": True} for label in classes or ()]


def _type_of(rows: pd.DataFrame, name: str) -> str:
    kind = getattr(rows[name].dtype, "kind", "O") if name in rows.columns else "O"
    return _TYPES.get(kind, "string")


def _label_type(classes: Sequence[Any] | None) -> str:
    if classes is None:
        return "double"
    kinds = {type(label) for label in classes}
    return {frozenset({bool}): "boolean", frozenset({int}): "long", frozenset({float}): "double"}.get(
        frozenset(kinds), "string"
    )
