"""Write an ONNX graph node by node, with large attributes set from arrays. It knows operators only by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..runtimes.base import TensorSpec

INPUT = "features"
OPSET = 17
ML_DOMAIN = "ai.onnx.ml"
_ML_VERSIONS = {"TreeEnsembleRegressor": 1, "TreeEnsemble": 5}
_IR_VERSION = 8
_SHARED_SIZE = 64  # numbers in a constant up to which an equal one is looked for


class Graph:
    """An ONNX graph in the making, from one input ``[batch, ...]`` to one output ``[batch, k]``.

    Args:
        rows: What the input's rows are; a number ``d``: ``d`` float32 features.
    """

    def __init__(self, rows: TensorSpec | int) -> None:
        self.rows = TensorSpec((rows,)) if isinstance(rows, int) else rows
        self._model = ModelProto(ir_version=_IR_VERSION, producer_name="omniforge")
        self._graph = self._model.graph
        self._graph.name = "model"
        self._graph.input.append(_input(self.rows))
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Add a constant and return its name; small ones that are equal are stored once."""
        array = np.asarray(array, order="C")
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= _SHARED_SIZE else None
        known = None if key is None else self._constants.get(key)
        if known is not None:
            return known
        name = self._name("constant")
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        if key is not None:
            self._constants[key] = name
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name; the arguments are those of :meth:`add_many`."""
        return self.add_many(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def add_many(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """Add a node and return the names of its outputs.

        Args:
            op: The operator.
            *inputs: Names of values.
            outputs: How many outputs it has.
            domain: The operator's domain; empty: ONNX's own.
            **attributes: Numbers, strings, lists, tensors, or arrays: an integer array becomes a list of integers, a
                float array a list of floats, without a look at each element.
        """
        node = self._graph.node.add(op_type=op, domain=domain, name=self._name(op))
        node.input.extend(inputs)
        node.output.extend(self._name(op.lower()) for _ in range(outputs))
        for key, value in attributes.items():
            set_attribute(node, key, value)
        return tuple(node.output)

    def finish(self, value: str, *, output: str, columns: int) -> ModelProto:
        """Make ``value`` (``[batch, columns]`` float32) the output, named ``output``, and return the model."""
        self._graph.node.add(op_type="Identity", name="output", input=[value], output=[output])
        self._graph.output.append(_output(output, columns, batch=self.rows.batch))
        self._model.opset_import.append(helper.make_opsetid("", OPSET))
        operators = {node.op_type for node in self._graph.node if node.domain == ML_DOMAIN}
        if operators:
            version = max(_ML_VERSIONS[operator] for operator in operators)
            self._model.opset_import.append(helper.make_opsetid(ML_DOMAIN, version))
        return self._model

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def set_attribute(node: NodeProto, key: str, value: Any) -> None:
    """Set an attribute of a node; arrays and lists of bytes as they are, which onnx.helper is slow at."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iub":
            node.attribute.add(name=key, type=AttributeProto.INTS).ints.extend(value.tolist())
        else:
            node.attribute.add(name=key, type=AttributeProto.FLOATS).floats.extend(value.tolist())
    elif isinstance(value, list) and value and isinstance(value[0], bytes):
        node.attribute.add(name=key, type=AttributeProto.STRINGS).strings.extend(value)
    else:
        node.attribute.append(helper.make_attribute(key, value))


def _input(rows: TensorSpec) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(rows.dtype))
    return helper.make_tensor_value_info(INPUT, kind, [rows.batch or "batch", *rows.shape])


def _output(name: str, columns: int, *, batch: int | None) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch or "batch", columns])


def keep_only(model: ModelProto, output: str, *, name: str, columns: int, rows: TensorSpec) -> ModelProto:
    """Reduce a converter's model to one output under the contract's name and the contract's input.

    Args:
        model: A model whose input is named ``INPUT``; changed in place.
        output: The output to keep, such as ``"probabilities"`` of a classifier that also outputs labels.
        name: What to call it.
        columns: How many columns it has.
        rows: What the input's rows are, and whether the batch is fixed.
    """
    graph = model.graph
    is_double = any(
        value.name == output and value.type.tensor_type.elem_type == TensorProto.DOUBLE for value in graph.output
    )
    if is_double and output != name:
        graph.node.append(helper.make_node("Cast", [output], [name], name="output", to=TensorProto.FLOAT))
    elif output != name:
        graph.node.add(op_type="Identity", name="output", input=[output], output=[name])
    needed = {name}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(_inputs(node))
    for node in [node for node in graph.node if not needed.intersection(node.output)]:
        graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in needed]:
        graph.initializer.remove(tensor)
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(_input(rows))
    graph.output.append(_output(name, columns, batch=rows.batch))
    opsets = {entry.domain: entry.version for entry in model.opset_import}  # some converters repeat a domain
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets.items())
    return model


def fix_batch(model: ModelProto, batch: int) -> ModelProto:
    """Return a copy of a model that takes one number of rows only, as compilers for edge devices want it.

    Args:
        model: One input ``[batch, ...]`` and one output ``[batch, k]``.
        batch: The number of rows.
    """
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del fixed.graph.value_info[:]  # shapes inside, that still have the free batch
    return fixed


def spread_columns(model: ModelProto, present: np.ndarray[Any, Any], *, columns: int) -> ModelProto:
    """Give each output column its place among more columns; the others are 0.

    Args:
        model: A model with one output ``[batch, len(present)]``; changed in place.
        present: Integers, the place of each column.
        columns: How many columns there are to be.
    """
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = [f"seen_{value}" if value == name else value for value in node.output]
    places = np.zeros((len(present), columns), dtype=np.float32)
    places[np.arange(len(present)), present] = 1.0
    graph.initializer.append(numpy_helper.from_array(places, "places"))
    graph.node.add(op_type="MatMul", name="spread", input=[f"seen_{name}", "places"], output=[name])
    batch = graph.output[0].type.tensor_type.shape.dim[0].dim_value or None
    del graph.output[:]
    graph.output.append(_output(name, columns, batch=batch))
    return model


def _inputs(node: NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, those that its subgraphs take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.type == AttributeProto.GRAPH else ():
            yield from _inputs(inner)
