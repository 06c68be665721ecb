"""A torch module of known layers, written as an ONNX graph from its symbolic trace.

Layers and functions are looked up in two tables; whatever is in neither raises ``UnsupportedError`` and names itself.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import fx, nn
from torch.nn import functional

from .exporter import UnsupportedError, describe
from .graph import INPUT, Graph

Layer = Callable[[Graph, str, Any], str]


def write_module(module: nn.Module, *, width: int, output: str, columns: int) -> ModelProto:
    """Write a module that maps one float32 tensor to one.

    Args:
        module: The module, in ``eval`` mode.
        width: Number of features.
        output: Name of the output.
        columns: Number of columns of the output.

    Raises:
        UnsupportedError: It cannot be traced, or something in it is not known here; the message names it.
    """
    try:
        traced = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError) as e:
        raise UnsupportedError(f"a forward() that cannot be traced ({str(e).splitlines()[0]})") from e
    graph = Graph(width)
    values: dict[fx.Node, Any] = {}
    for node in traced.graph.nodes:
        if node.op == "output":
            result = node.args[0]
            if not isinstance(result, fx.Node) or not isinstance(values[result], str):
                raise UnsupportedError("a forward() that returns something else than one tensor")
            return graph.finish(values[result], output=output, columns=columns)
        values[node] = _write(graph, node, traced, values)
    raise UnsupportedError("a forward() without a result")


def _write(graph: Graph, node: fx.Node, traced: fx.GraphModule, values: Mapping[fx.Node, Any]) -> str:
    """Write one node of the trace and return the name of its value."""
    if node.op == "placeholder":
        if node.args or values:
            raise UnsupportedError("a forward() with several arguments")
        return INPUT
    if node.op == "get_attr":
        return graph.constant(_array(operator.attrgetter(str(node.target))(traced)))
    if node.op == "call_module":
        layer = traced.get_submodule(str(node.target))
        if type(layer) not in LAYERS or len(node.args) != 1 or node.kwargs:
            raise UnsupportedError(f"the layer {describe(layer)}")
        return LAYERS[type(layer)](graph, values[_only_node(node.args[0])], layer)
    function = FUNCTIONS.get(node.target)
    if function is None:
        raise UnsupportedError(f"the operation {getattr(node.target, '__name__', node.target)!r}")
    args = fx.map_arg(node.args, values.__getitem__)
    kwargs = fx.map_arg(node.kwargs, values.__getitem__)
    try:
        return function(graph, *args, **kwargs)
    except TypeError as e:
        raise UnsupportedError(f"these arguments of {getattr(node.target, '__name__', node.target)!r}: {e}") from e


def _only_node(argument: Any) -> fx.Node:
    if not isinstance(argument, fx.Node):
        raise UnsupportedError(f"the argument {argument!r}")
    return argument


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float32:
        raise UnsupportedError(
            f"a constant that is no float32 tensor: {getattr(tensor, 'dtype', type(tensor).__name__)}"
        )
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    return array


def _operand(graph: Graph, value: Any) -> str:
    """Return the name of a value of the trace, or of a constant for a number."""
    return value if isinstance(value, str) else graph.constant(np.array(value, dtype=np.float32))


def _linear(graph: Graph, x: str, layer: nn.Linear) -> str:
    bias = [] if layer.bias is None else [graph.constant(_array(layer.bias))]
    return graph.add("Gemm", x, graph.constant(_array(layer.weight)), *bias, transB=1)


def _batch_norm(graph: Graph, x: str, layer: nn.BatchNorm1d) -> str:
    if layer.running_mean is None or layer.running_var is None:
        raise UnsupportedError("a BatchNorm1d without running statistics")
    size = layer.num_features
    scale = layer.weight if layer.weight is not None else torch.ones(size)
    shift = layer.bias if layer.bias is not None else torch.zeros(size)
    statistics = [graph.constant(_array(v)) for v in (scale, shift, layer.running_mean, layer.running_var)]
    return graph.add("BatchNormalization", x, *statistics, epsilon=layer.eps)


def _layer_norm(graph: Graph, x: str, layer: nn.LayerNorm) -> str:
    if len(layer.normalized_shape) != 1:
        raise UnsupportedError("a LayerNorm over several axes")
    scale = layer.weight if layer.weight is not None else torch.ones(layer.normalized_shape)
    bias = [] if layer.bias is None else [graph.constant(_array(layer.bias))]
    return graph.add("LayerNormalization", x, graph.constant(_array(scale)), *bias, axis=-1, epsilon=layer.eps)


def _gelu(graph: Graph, x: str, approximate: str = "none") -> str:
    if approximate != "none":
        raise UnsupportedError(f"GELU approximated by {approximate!r}")
    erf = graph.add("Erf", graph.add("Mul", x, _operand(graph, 1.0 / math.sqrt(2.0))))
    half = graph.add("Mul", x, _operand(graph, 0.5))
    return graph.add("Mul", half, graph.add("Add", erf, _operand(graph, 1.0)))


def _silu(graph: Graph, x: str, inplace: bool = False) -> str:
    del inplace
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _softmax(graph: Graph, x: str, dim: int | None = None, *, op: str = "Softmax") -> str:
    if dim not in (1, -1):
        raise UnsupportedError(f"a softmax over dimension {dim}")
    return graph.add(op, x, axis=1)


def _flatten(graph: Graph, x: str, start_dim: int = 0, end_dim: int = -1) -> str:
    if start_dim != 1 or end_dim != -1:
        raise UnsupportedError(f"a flatten of dimensions {start_dim} to {end_dim}")
    return graph.add("Flatten", x, axis=1)


def _concatenate(graph: Graph, tensors: Any, dim: int = 0) -> str:
    if dim not in (1, -1):
        raise UnsupportedError(f"a concatenation along dimension {dim}")
    return graph.add("Concat", *tensors, axis=1)


def _clamp(graph: Graph, x: str, min: float | None = None, max: float | None = None) -> str:
    for op, bound in (("Max", min), ("Min", max)):
        if bound is not None:
            x = graph.add(op, x, _operand(graph, bound))
    return x


def _binary(op: str) -> Callable[[Graph, Any, Any], str]:
    return lambda graph, a, b: graph.add(op, _operand(graph, a), _operand(graph, b))


def _unary(op: str) -> Callable[..., str]:
    def write(graph: Graph, x: str, layer: object = None, inplace: bool = False) -> str:
        del layer, inplace
        return graph.add(op, x)

    return write


def _same(graph: Graph, x: str, *_: Any, **__: Any) -> str:
    del graph
    return x


LAYERS: dict[type[nn.Module], Layer] = {
    nn.AlphaDropout: _same,
    nn.BatchNorm1d: _batch_norm,
    nn.Dropout: _same,
    nn.ELU: lambda graph, x, layer: graph.add("Elu", x, alpha=float(layer.alpha)),
    nn.Flatten: lambda graph, x, layer: _flatten(graph, x, layer.start_dim, layer.end_dim),
    nn.GELU: lambda graph, x, layer: _gelu(graph, x, layer.approximate),
    nn.Identity: _same,
    nn.LayerNorm: _layer_norm,
    nn.LeakyReLU: lambda graph, x, layer: graph.add("LeakyRelu", x, alpha=float(layer.negative_slope)),
    nn.Linear: _linear,
    nn.LogSoftmax: lambda graph, x, layer: _softmax(graph, x, layer.dim, op="LogSoftmax"),
    nn.ReLU: _unary("Relu"),
    nn.SELU: _unary("Selu"),
    nn.SiLU: lambda graph, x, _: _silu(graph, x),
    nn.Sigmoid: _unary("Sigmoid"),
    nn.Softmax: lambda graph, x, layer: _softmax(graph, x, layer.dim),
    nn.Tanh: _unary("Tanh"),
}

# By what a trace refers to: a function, or the name of a tensor's method.
FUNCTIONS: dict[Any, Callable[..., str]] = {
    **dict.fromkeys((operator.add, torch.add, "add"), _binary("Add")),
    **dict.fromkeys((operator.sub, torch.sub, "sub"), _binary("Sub")),
    **dict.fromkeys((operator.mul, torch.mul, "mul"), _binary("Mul")),
    **dict.fromkeys((operator.truediv, torch.div, "div"), _binary("Div")),
    **dict.fromkeys((operator.neg, torch.neg, "neg"), _unary("Neg")),
    **dict.fromkeys((torch.relu, functional.relu, "relu"), _unary("Relu")),
    **dict.fromkeys((torch.sigmoid, functional.sigmoid, "sigmoid"), _unary("Sigmoid")),
    **dict.fromkeys((torch.tanh, functional.tanh, "tanh"), _unary("Tanh")),
    **dict.fromkeys((torch.exp, "exp"), _unary("Exp")),
    **dict.fromkeys((torch.softmax, functional.softmax, "softmax"), _softmax),
    **dict.fromkeys((torch.cat, torch.concat), _concatenate),
    **dict.fromkeys((torch.clamp, "clamp"), _clamp),
    **dict.fromkeys((torch.flatten, "flatten"), _flatten),
    functional.dropout: _same,
    functional.gelu: _gelu,
    functional.silu: _silu,
}
