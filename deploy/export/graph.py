"""Write an ONNX graph node by node, with large attributes set from arrays. It knows operators only by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

INPUT = "features"
OPSET = 17
ML_DOMAIN = "ai.onnx.ml"
_ML_VERSIONS = {"TreeEnsembleRegressor": 1, "TreeEnsemble": 5}
_IR_VERSION = 8


class Graph:
    """An ONNX graph in the making, from one float32 input ``[batch, d]`` to one output ``[batch, k]``.

    Args:
        width: Number of features ``d``.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._model = ModelProto(ir_version=_IR_VERSION, producer_name="omniforge")
        self._graph = self._model.graph
        self._graph.name = "model"
        self._graph.input.append(_value(INPUT, width))
        self._count = 0

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Add a constant and return its name."""
        name = self._name("constant")
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
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
        self._graph.output.append(_value(output, columns))
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


def _value(name: str, columns: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", columns])


def keep_only(model: ModelProto, output: str, *, name: str, columns: int, width: int) -> ModelProto:
    """Reduce a converter's model to one output under the contract's name, for batches of any size.

    Args:
        model: A model whose input is named ``INPUT``; changed in place.
        output: The output to keep, such as ``"probabilities"`` of a classifier that also outputs labels.
        name: What to call it.
        columns: How many columns it has.
        width: Number of features.
    """
    graph = model.graph
    if output != name:
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
    graph.input.append(_value(INPUT, width))
    graph.output.append(_value(name, columns))
    opsets = {entry.domain: entry.version for entry in model.opset_import}  # some converters repeat a domain
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets.items())
    return model


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
    del graph.output[:]
    graph.output.append(_value(name, columns))
    return model


def _inputs(node: NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, those that its subgraphs take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.type == AttributeProto.GRAPH else ():
            yield from _inputs(inner)
