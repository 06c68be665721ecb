"""ONNX's own test cases of single operators: the oracle of whatever computes ONNX operators itself."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case import node as suite

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class OperatorCase:
    """One node, what it reads first, and what it computes.

    Args:
        name: ONNX's name of the case.
        model: A model with one input and one output; what the node reads besides is constant in it.
        given: The input.
        expected: The output.
    """

    name: str
    model: onnx.ModelProto
    given: Array
    expected: Array


def operator_cases(operators: Iterable[str]) -> Mapping[str, list[OperatorCase]]:
    """Return the cases of these operators on tensors of plain numbers."""
    wanted = set(operators)
    files = {name.lower() for name in wanted}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.iter_modules(suite.__path__):
            if module.name.replace("_", "") in files:
                importlib.import_module(f"{suite.__name__}.{module.name}")
    found: dict[str, list[OperatorCase]] = defaultdict(list)
    for case in suite._NodeTestCases:
        nodes = case.model.graph.node if case.model is not None else ()
        if len(nodes) == 1 and nodes[0].op_type in wanted and nodes[0].domain == "" and case.data_sets:
            built = _build(case)
            if built is not None:
                found[nodes[0].op_type].append(built)
    return found


def _build(case: Any) -> OperatorCase | None:
    """Return a case with all inputs but the first as constants; ``None`` if it is no matter of plain tensors."""
    inputs, outputs = case.data_sets[0]
    plain = all(
        isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub" for value in [*inputs, *outputs]
    )
    known = all(value.type.tensor_type.elem_type in range(1, 12) for value in case.model.graph.input)
    if not inputs or not plain or not known or any(np.asarray(value).dtype == np.uint16 for value in inputs):
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for value, constant in zip(list(model.graph.input)[1:], inputs[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(constant), value.name))
    del model.graph.output[1:]
    return OperatorCase(case.name, model, np.array(inputs[0]), np.asarray(outputs[0]))
