"""ONNX to ``torch.fx``: the graph of a model as a torch module, each node one call of ``torch_operators``.

It is for running exported networks, not for training them: what depends on nothing but constants is computed once, and
batch statistics are those of the export. What is not known (an operator, an attribute, ``If`` and ``Loop``, other
domains such as ``ai.onnx.ml``) is refused by name.
"""

from __future__ import annotations

import heapq
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import fx, nn

from ...errors import MeasurementError
from . import torch_layers  # noqa: F401  # registers its operators
from .base import TensorSpec, unusable
from .torch_operators import OPERATORS, Operator
from .torch_sizes import SIZE_OPERATORS, length, repeat, shape, size, stays_size, to_tensor

_MOST_NUMBERS = 1024  # a constant that is given as Python's numbers is a shape, an axis or the like
_SEVERAL_OUTPUTS = ("Split", "TopK", "DynamicQuantizeLinear")
_FAILURES = (RuntimeError, TypeError, ValueError, IndexError, KeyError, OverflowError)


def import_onnx(model: onnx.ModelProto) -> tuple[fx.GraphModule, TensorSpec]:
    """Turn an ONNX model with one input and one output into a torch module.

    Args:
        model: The model, its weights inside.

    Returns:
        The module, and what it reads.

    Raises:
        MeasurementError: The model has other inputs or outputs, or something that is not known here; the message names
            it. It does not name the model.
    """
    spec = input_spec(model)
    return to_module(model), spec


def to_module(model: onnx.ModelProto) -> fx.GraphModule:
    """Turn an ONNX model of one input into a torch module that computes its first output.

    Raises:
        MeasurementError: Something in it is not known here; the message names it.
    """
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    builder = _Builder(model)
    for node in _in_order(model.graph):
        builder.add(node)
    return builder.finish(model.graph.output[0].name)


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return a graph's nodes so that each follows those that it reads from; not all exporters write them so.

    Nodes in a circle, or that read what nothing computes, come last.
    """
    writers = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    waits = [{writers[name] for name in node.input if name in writers} for node in graph.node]
    readers: dict[int, list[int]] = {}
    for at, before in enumerate(waits):
        for writer in before:
            readers.setdefault(writer, []).append(at)
    ready = [at for at, before in enumerate(waits) if not before]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers.get(order[-1], ()):
            waits[reader].discard(order[-1])
            if not waits[reader]:
                heapq.heappush(ready, reader)
    rest = sorted(set(range(len(graph.node))) - set(order))
    return [graph.node[at] for at in [*order, *rest]]


def parse(source: bytes) -> onnx.ModelProto:
    """Parse the content of an ONNX file.

    Raises:
        ValueError: It is no such content.
    """
    try:
        return onnx.load_model_from_string(source)
    except DecodeError as e:
        raise ValueError(f"it is no ONNX file, or it is cut off ({e})") from e


def input_spec(model: onnx.ModelProto) -> TensorSpec:
    """Return what a model reads.

    Raises:
        MeasurementError: It has not exactly one input ``[batch, ...]`` and one output, of a known type.
    """
    constants = {value.name for value in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    outputs = list(model.graph.output)
    known = all(value.type.tensor_type.elem_type for value in [*inputs, *outputs])
    if len(inputs) != 1 or len(outputs) != 1 or not known or len(inputs[0].type.tensor_type.shape.dim) < 2:
        found = ", ".join(value.name for value in [*inputs, *outputs]) or "none at all"
        raise unusable(
            f"it has other inputs and outputs than one tensor [batch, ...] and one output [batch, k]: {found}.",
            hint="Export it with omniforge.deploy.export_onnx.",
        )
    kind = inputs[0].type.tensor_type
    first, *rest = (size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    return TensorSpec(tuple(rest), str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)), first)


class _Builder:
    """The torch graph under construction; each ONNX value is a constant, a size or the result of a node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
        self._constants: dict[str, torch.Tensor] = {
            value.name: _tensor(numpy_helper.to_array(value), value.name) for value in model.graph.initializer
        }
        if model.graph.sparse_initializer:
            raise unusable("it has sparse weights, which are not known here.")
        self._used = {name for node in model.graph.node for name in node.input if name}
        self._used.update(value.name for value in model.graph.output)
        inputs = [value.name for value in model.graph.input if value.name not in self._constants]
        self._values: dict[str, fx.Node] = {inputs[0]: self._graph.placeholder("features")}
        self._sizes: set[str] = set()
        self._lengths: set[str] = set()  # sizes that say how many a size has
        self._attributes: dict[int, fx.Node] = {}

    def add(self, node: onnx.NodeProto) -> None:
        """Add one ONNX node.

        Raises:
            MeasurementError: Something about it is not known here.
        """
        attributes = {attribute.name: _attribute(attribute, node) for attribute in node.attribute}
        if node.domain not in ("", "ai.onnx"):
            raise _refusal(node, "is of another domain than ONNX itself")
        if node.op_type == "Constant":
            self._constants[node.output[0]] = _constant(attributes, node)
        elif node.op_type in ("Shape", "Size"):
            self._add_shape(node, attributes)
        elif node.op_type == "ConstantOfShape" and node.input[0] in self._lengths:
            item = int(attributes["value"].item()) if "value" in attributes else 0
            value = self._graph.call_function(repeat, (self._values[node.input[0]], item))
            self._define(node.output[0], value, is_size=True)
        elif self._is_size(node, attributes):
            arguments = [self._number(name, node) for name in node.input]
            value = self._graph.call_function(SIZE_OPERATORS[node.op_type], tuple(arguments), attributes)
            self._define(node.output[0], value, is_size=True)
        elif node.op_type in OPERATORS:
            self._add_operator(node, OPERATORS[node.op_type], attributes)
        else:
            raise _refusal(node, "is not known")

    def finish(self, output: str) -> fx.GraphModule:
        """Return the module that computes ``output``."""
        if output not in self._values and output not in self._constants:
            raise unusable(f"nothing computes its output {output!r}.")
        self._graph.output(self._as_tensor(output))
        self._graph.eliminate_dead_code()
        self._graph.lint()
        return fx.GraphModule(self._root, self._graph).eval()

    def _add_shape(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        if node.input[0] in self._sizes:
            self._define(
                node.output[0], self._graph.call_function(length, (self._values[node.input[0]],)), is_size=True
            )
            self._lengths.add(node.output[0])
            return
        source = self._as_tensor(node.input[0])
        value = self._graph.call_function(shape if node.op_type == "Shape" else size, (source,), attributes)
        self._define(node.output[0], value, is_size=True)

    def _is_size(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> bool:
        """Say whether a node computes a size of sizes and whole numbers."""
        names = [name for name in node.input if name]
        if not any(name in self._sizes for name in names) or not stays_size(node.op_type, attributes):
            return False
        return all(name in self._sizes or _is_whole(self._constants.get(name)) for name in names)

    def _add_operator(self, node: onnx.NodeProto, operator: Operator, attributes: dict[str, Any]) -> None:
        limit = operator.limits(attributes) if operator.limits else None
        if node.op_type == "Dropout" and len(node.input) > 2 and not self._is_false(node.input[2]):
            limit = "a model in training"
        if limit:
            raise _refusal(node, f"asks for what is not known: {limit}")
        settings = self._settings(node, operator, attributes)
        names = [name for name in node.input if name]
        if names and all(name in self._constants for name in names):
            self._fold(node, operator, settings)
            return
        arguments = [self._argument(name, at, node, operator) for at, name in enumerate(node.input)]
        keywords = {
            name: self._buffer(value) if isinstance(value, torch.Tensor) else value for name, value in settings.items()
        }
        value = self._graph.call_function(operator.function, tuple(arguments), keywords)
        if node.op_type in _SEVERAL_OUTPUTS:
            for at, name in enumerate(node.output):
                self._define(name, self._graph.call_function(_item, (value, at)))
        elif self._used.isdisjoint(node.output[1:]):
            self._define(node.output[0], value)
        else:
            raise _refusal(node, "has outputs that are not known")

    def _is_false(self, name: str) -> bool:
        """Say whether an input is not given, or is a constant that is not true."""
        return not name or (name in self._constants and not bool(self._constants[name].any()))

    def _settings(self, node: onnx.NodeProto, operator: Operator, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords of a node's function: its attributes, and what the function asks for besides.

        An attribute that the function does not know is let pass where it is 0 or empty: some exporters write defaults.
        """
        known: Mapping[str, inspect.Parameter]
        try:
            known = inspect.signature(operator.function).parameters
        except ValueError:  # a function of torch itself
            known = {}
        loose = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        settings = {name: value for name, value in attributes.items() if loose or name in known}
        unknown = sorted(name for name, value in attributes.items() if name not in settings and _says_something(value))
        if unknown:
            raise _refusal(node, f"has attributes that are not known: {', '.join(unknown)}")
        if "opset" in known:
            settings["opset"] = self._opset
        if "outputs" in known:
            settings["outputs"] = len(node.output)
        return settings

    def _fold(self, node: onnx.NodeProto, operator: Operator, settings: Mapping[str, Any]) -> None:
        """Compute a node whose inputs are all constants."""
        arguments = [
            None if not name else self._number(name, node) if at in operator.static else self._constants[name]
            for at, name in enumerate(node.input)
        ]
        try:
            with torch.no_grad():
                result = operator.function(*arguments, **settings)
        except _FAILURES as e:
            raise _refusal(node, f"fails: {e}") from e
        results = [result] if isinstance(result, torch.Tensor) else list(result)
        self._constants.update((name, value) for name, value in zip(node.output, results, strict=False) if name)

    def _argument(self, name: str, at: int, node: onnx.NodeProto, operator: Operator) -> Any:
        """Return an input of a node as its function takes it."""
        if not name:
            return None
        constant = self._constants.get(name)
        if at in operator.static:
            return self._number(name, node)
        if at in operator.scalars and (name in self._sizes or (constant is not None and constant.dim() == 0)):
            return self._number(name, node)
        return self._as_tensor(name)

    def _number(self, name: str, node: onnx.NodeProto) -> Any:
        """Return a constant or a size as numbers, or the torch node that computes them."""
        if not name:
            return None
        if name in self._sizes:
            return self._values[name]
        constant = self._constants.get(name)
        if constant is None or constant.numel() > _MOST_NUMBERS:
            raise _refusal(node, f"has an input that must not depend on the rows: {name!r}")
        if constant.numel() == 0 and node.op_type == "Resize":  # how it says that an input is not given
            return None
        return constant.item() if constant.dim() == 0 else tuple(constant.flatten().tolist())

    def _as_tensor(self, name: str) -> fx.Node:
        if name in self._constants:
            return self._buffer(self._constants[name])
        if name not in self._values:
            raise unusable(f"nothing computes its value {name!r}.")
        value = self._values[name]
        return self._graph.call_function(to_tensor, (value,)) if name in self._sizes else value

    def _buffer(self, value: torch.Tensor) -> fx.Node:
        """Return the torch node of a constant; one that is used several times is kept once."""
        if id(value) not in self._attributes:
            name = f"constant_{len(self._attributes)}"
            self._root.register_buffer(name, value)
            self._attributes[id(value)] = self._graph.get_attr(name)
        return self._attributes[id(value)]

    def _define(self, name: str, value: fx.Node, *, is_size: bool = False) -> None:
        self._values[name] = value
        if is_size:
            self._sizes.add(name)


def _item(values: Sequence[torch.Tensor], at: int) -> torch.Tensor:
    return values[at]


def _is_whole(constant: torch.Tensor | None) -> bool:
    """Say whether a constant is whole numbers (or flags) that can stand among sizes."""
    if constant is None or constant.dim() > 1 or constant.numel() > _MOST_NUMBERS:
        return False
    return constant.dtype in (torch.int64, torch.int32, torch.bool)


def _says_something(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or bool(value)


def _tensor(array: np.ndarray[Any, Any], name: str) -> torch.Tensor:
    """Return a weight as a tensor of its own memory.

    Raises:
        MeasurementError: Torch has no such type.
    """
    try:
        return torch.from_numpy(np.array(array))
    except TypeError as e:
        raise unusable(f"its weight {name!r} is of type {array.dtype}, which is not known here.") from e


def _attribute(attribute: onnx.AttributeProto, node: onnx.NodeProto) -> Any:
    """Return an attribute's value: number, text, tuple of them, or tensor."""
    if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        raise _refusal(node, "contains a graph, which is not known")
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return _tensor(numpy_helper.to_array(value), attribute.name)
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _constant(attributes: Mapping[str, Any], node: onnx.NodeProto) -> torch.Tensor:
    for name, value in attributes.items():
        if name == "value":
            tensor: torch.Tensor = value
            return tensor
        if name in ("value_int", "value_ints", "value_float", "value_floats"):
            return torch.tensor(value, dtype=torch.int64 if "int" in name else torch.float32)
    raise _refusal(node, f"has a value that is not known: {', '.join(attributes)}")


def _refusal(node: onnx.NodeProto, reason: str) -> MeasurementError:
    """Return the error of a node; it names the operator, with its domain if it is not ONNX's own, and the node."""
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    label = f" (node {node.name!r})" if node.name else ""
    hint = "The runtime 'onnxruntime' runs all of ONNX, trees and linear models (ai.onnx.ml) included."
    return unusable(f"its operator {domain}{node.op_type}{label} {reason}.", hint=hint)
