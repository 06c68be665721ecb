"""How each function of torch, and each method of its tensors, is written in ONNX.

A writer takes the graph in the making, what torch returns (for no rows), and the arguments of the call; it returns
the name of the result, or a list of names where torch returns several tensors.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from .exporter import UnsupportedError
from .torch_attention import scaled_dot_product_attention
from .torch_shapes import (
    concatenated,
    expanded,
    indexed,
    padded,
    permuted,
    reshaped,
    split,
    stacked,
    transposed,
    unbound,
)
from .torch_writing import Value, Writing, is_rows

Function = Callable[..., Any]
IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


def linear(w: Writing, result: torch.Tensor, x: Value, weight: Any, bias: Any = None) -> str:
    """Write ``x W' + b``; a table as one Gemm."""
    if isinstance(weight, Value) or isinstance(bias, Value):
        raise UnsupportedError("a linear map that is computed from the input")
    if result.ndim == 2:
        return w.add("Gemm", w.name(x), w.name(weight), *([] if bias is None else [w.name(bias)]), transB=1)
    product = w.add("MatMul", w.name(x), w.name(weight.t().contiguous()))
    return product if bias is None else w.add("Add", product, w.name(bias))


def layer_norm(
    w: Writing,
    result: torch.Tensor,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> str:
    """Write a layer normalization over the last axes."""
    axes = len(normalized_shape)
    if axes >= result.ndim:
        raise UnsupportedError("a LayerNorm over the rows")
    scale = torch.ones(tuple(normalized_shape)) if weight is None else weight
    shift = [] if bias is None else [w.name(bias)]
    return w.add("LayerNormalization", x.name, w.name(scale), *shift, axis=-axes, epsilon=eps)


def gelu(w: Writing, result: torch.Tensor, x: Value, approximate: str = "none") -> str:
    """Write GELU, exact or by tanh; runtimes know both patterns."""
    del result
    if approximate == "tanh":
        cube = w.add("Mul", x.name, w.add("Mul", x.name, x.name))
        inner = w.add("Add", x.name, w.add("Mul", cube, w.name(0.044715)))
        gate = w.add("Tanh", w.add("Mul", inner, w.name(math.sqrt(2.0 / math.pi))))
    else:
        gate = w.add("Erf", w.add("Div", x.name, w.name(math.sqrt(2.0))))
    return w.add("Mul", w.add("Mul", x.name, w.add("Add", gate, w.name(1.0))), w.name(0.5))


def silu(w: Writing, result: torch.Tensor, x: Value, inplace: bool = False) -> str:
    """Write ``x sigmoid(x)``."""
    del result, inplace
    return w.add("Mul", x.name, w.add("Sigmoid", x.name))


def relu6(w: Writing, result: torch.Tensor, x: Value, inplace: bool = False) -> str:
    """Write a ReLU that ends at 6."""
    del inplace
    return clamp(w, result, x, 0.0, 6.0)


def hardsigmoid(w: Writing, result: torch.Tensor, x: Value, inplace: bool = False) -> str:
    """Write ``relu6(x + 3) / 6``."""
    del result, inplace
    return w.add("HardSigmoid", x.name, alpha=1.0 / 6.0, beta=0.5)


def softplus(w: Writing, result: torch.Tensor, x: Value, beta: float = 1.0, threshold: float = 20.0) -> str:
    """Write ``log(1 + exp(x))``; beyond torch's threshold both are ``x`` in float32."""
    del result, threshold
    if beta != 1:
        raise UnsupportedError(f"a softplus with beta = {beta}")
    return w.add("Softplus", x.name)


def softmax(
    w: Writing, result: torch.Tensor, x: Value, dim: Any = None, *_: Any, op: str = "Softmax", **__: Any
) -> str:
    """Write a softmax over any axis but the batch."""
    del result
    return w.add(op, x.name, axis=w.axis(x, dim, what="a softmax"))


def log_softmax(w: Writing, result: torch.Tensor, x: Value, dim: Any = None, *_: Any, **__: Any) -> str:
    """Write the logarithm of a softmax."""
    return softmax(w, result, x, dim, op="LogSoftmax")


def clamp(w: Writing, result: torch.Tensor, x: Value, min: Any = None, max: Any = None) -> str:
    """Write a clamp by numbers."""
    bounds = ["" if bound is None else w.name(bound, result.dtype) for bound in (min, max)]
    return w.add("Clip", w.name(x, result.dtype), *(bounds if bounds[1] else bounds[:1]))


def max_pool(
    w: Writing,
    result: Any,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> str:
    """Write a maximum over windows."""
    if return_indices or ceil_mode or not isinstance(result, torch.Tensor):
        raise UnsupportedError("a max_pool with indices or ceil_mode")
    size = _per_axis(kernel_size, x)
    return w.add("MaxPool", x.name, dilations=_per_axis(dilation, x), **_windows(size, stride, padding, x))


def avg_pool(
    w: Writing,
    result: torch.Tensor,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> str:
    """Write a mean over windows."""
    del result
    if ceil_mode or divisor_override is not None:
        raise UnsupportedError("an avg_pool with ceil_mode or divisor_override")
    windows = _windows(_per_axis(kernel_size, x), stride, padding, x)
    return w.add("AveragePool", x.name, count_include_pad=int(count_include_pad), **windows)


def adaptive_pool(w: Writing, result: Any, x: Value, output_size: Any = None, *, op: str = "AveragePool") -> str:
    """Write a pooling to a given size, where it is the whole image or divides the image."""
    del output_size  # the result has it
    if not isinstance(result, torch.Tensor) or x.rank != result.ndim or not is_rows(x.shape[0]):
        raise UnsupportedError("an adaptive pooling with indices or without a batch")
    have, want = x.shape[2:], tuple(result.shape[2:])
    if all(size == 1 for size in want):
        return w.add("GlobalAveragePool" if op == "AveragePool" else "GlobalMaxPool", x.name)
    if any(a % b for a, b in zip(have, want, strict=True)):
        raise UnsupportedError(f"an adaptive pooling of {list(have)} to {list(want)}")
    window = [a // b for a, b in zip(have, want, strict=True)]
    return w.add(op, x.name, kernel_shape=window, strides=window)


def _windows(size: list[int], stride: Any, padding: Any, x: Value) -> dict[str, list[int]]:
    pads = _per_axis(padding, x)
    steps = size if stride is None or stride == [] else _per_axis(stride, x)
    return {"kernel_shape": size, "strides": steps, "pads": [*pads, *pads]}


def _per_axis(value: Any, x: Value) -> list[int]:
    """Return a setting for each axis of an image with a batch and channels."""
    axes = x.rank - 2
    if axes < 1 or not is_rows(x.shape[0]):
        raise UnsupportedError("a pooling of one image without a batch")
    values = [int(each) for each in value] if isinstance(value, tuple | list) else [int(value)]
    return values * axes if len(values) == 1 else values


def reduced(op: str) -> Function:
    """Return the writer of a reduction over some axes, the batch never among them."""

    def write(w: Writing, result: Any, x: Value, dim: Any = None, keepdim: bool = False, **named: Any) -> str:
        if dim is None or named or not isinstance(result, torch.Tensor):
            raise UnsupportedError(f"a {op} over all dimensions, or with indices")
        axes = [w.axis(x, each, what=f"a {op}") for each in (dim if isinstance(dim, tuple | list) else [dim])]
        name = w.name(x, result.dtype)
        if op == "ReduceSum":
            return w.add(op, name, w.integers(axes), keepdims=int(keepdim))
        return w.add(op, name, axes=axes, keepdims=int(keepdim))

    return write


def cast(w: Writing, result: torch.Tensor, x: Value, *_: Any, **__: Any) -> str:
    """Write a change of type, if it is one."""
    return w.name(x, result.dtype)


def masked(w: Writing, result: torch.Tensor, x: Value, mask: Any, value: Any) -> str:
    """Write ``masked_fill``."""
    return w.add("Where", w.name(mask), w.name(value, result.dtype), w.name(x, result.dtype))


def chosen(w: Writing, result: torch.Tensor, condition: Any, a: Any, b: Any) -> str:
    """Write ``where``."""
    return w.add("Where", w.name(condition), w.name(a, result.dtype), w.name(b, result.dtype))


def _binary(op: str) -> Function:
    """Return the writer of an operation on two values of the result's type."""

    def write(w: Writing, result: torch.Tensor, a: Any, b: Any, *, alpha: float = 1) -> str:
        if alpha != 1:
            raise UnsupportedError(f"an operation with alpha = {alpha}")
        return w.add(op, w.name(a, result.dtype), w.name(b, result.dtype))

    return write


def _comparison(op: str, *, negated: bool = False) -> Function:
    def write(w: Writing, result: torch.Tensor, a: Any, b: Any) -> str:
        del result
        dtype = torch.result_type(*(each.empty if isinstance(each, Value) else each for each in (a, b)))
        name = w.add(op, w.name(a, dtype), w.name(b, dtype))
        return w.add("Not", name) if negated else name

    return write


def _unary(op: str) -> Function:
    def write(w: Writing, result: torch.Tensor, x: Value, inplace: bool = False) -> str:
        del inplace
        return w.add(op, w.name(x, result.dtype))

    return write


def _logical(op: str) -> Function:
    def write(w: Writing, result: torch.Tensor, *operands: Any) -> str:
        if result.dtype != torch.bool:
            raise UnsupportedError("an operation on the bits of whole numbers")
        return w.add(op, *(w.name(each, torch.bool) for each in operands))

    return write


def _rsqrt(w: Writing, result: torch.Tensor, x: Value) -> str:
    return w.add("Reciprocal", _unary("Sqrt")(w, result, x))


def _square(w: Writing, result: torch.Tensor, x: Value) -> str:
    del result
    return w.add("Mul", x.name, x.name)


def _same(w: Writing, result: Any, x: Value, *_: Any, **__: Any) -> str:
    del w, result
    return x.name


def _all(functions: Sequence[Any], writer: Function) -> dict[Any, Function]:
    return dict.fromkeys(functions, writer)


VIEWS = (torch.reshape, "reshape", "view")
RESHAPES = (torch.flatten, "flatten", *VIEWS, "unflatten", torch.unflatten)

# By what a trace refers to: a function, or the name of a tensor's method.
FUNCTIONS: dict[Any, Function] = {
    **_all((operator.add, operator.iadd, torch.add, "add"), _binary("Add")),
    **_all((operator.sub, operator.isub, torch.sub, "sub"), _binary("Sub")),
    **_all((operator.mul, operator.imul, torch.mul, "mul"), _binary("Mul")),
    **_all((operator.truediv, operator.itruediv, torch.div, "div"), _binary("Div")),
    **_all((operator.pow, torch.pow, "pow"), _binary("Pow")),
    **_all((operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm"), _binary("MatMul")),
    **_all((torch.maximum, "maximum"), _binary("Max")),
    **_all((torch.minimum, "minimum"), _binary("Min")),
    **_all((operator.eq, torch.eq, "eq"), _comparison("Equal")),
    **_all((operator.ne, torch.ne, "ne"), _comparison("Equal", negated=True)),
    **_all((operator.gt, torch.gt, "gt"), _comparison("Greater")),
    **_all((operator.lt, torch.lt, "lt"), _comparison("Less")),
    **_all((operator.ge, torch.ge, "ge"), _comparison("GreaterOrEqual")),
    **_all((operator.le, torch.le, "le"), _comparison("LessOrEqual")),
    **_all((operator.neg, torch.neg, "neg"), _unary("Neg")),
    **_all((torch.abs, "abs"), _unary("Abs")),
    **_all((torch.exp, "exp"), _unary("Exp")),
    **_all((torch.log, "log"), _unary("Log")),
    **_all((torch.logical_not, "logical_not", operator.invert), _logical("Not")),
    **_all((torch.logical_and, "logical_and", operator.and_), _logical("And")),
    **_all((torch.logical_or, "logical_or", operator.or_), _logical("Or")),
    **_all((torch.relu, functional.relu, "relu"), _unary("Relu")),
    **_all((torch.rsqrt, "rsqrt"), _rsqrt),
    **_all((torch.sigmoid, functional.sigmoid, "sigmoid"), _unary("Sigmoid")),
    **_all((torch.sqrt, "sqrt"), _unary("Sqrt")),
    **_all((torch.square, "square"), _square),
    **_all((torch.tanh, functional.tanh, "tanh"), _unary("Tanh")),
    **_all((torch.softmax, functional.softmax, "softmax"), softmax),
    **_all((torch.log_softmax, functional.log_softmax, "log_softmax"), log_softmax),
    **_all((torch.cat, torch.concat), concatenated),
    **_all((torch.clamp, torch.clip, "clamp", "clip", functional.hardtanh), clamp),
    **_all((torch.chunk, "chunk", torch.split, "split"), split),
    **_all((torch.unbind, "unbind"), unbound),
    **_all(RESHAPES, reshaped),
    **_all((torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze"), reshaped),
    **_all((torch.permute, "permute"), permuted),
    **_all((torch.transpose, torch.swapaxes, "transpose", "swapaxes", torch.t, "t"), transposed),
    **_all((torch.mean, "mean"), reduced("ReduceMean")),
    **_all((torch.sum, "sum"), reduced("ReduceSum")),
    **_all((torch.amax, "amax"), reduced("ReduceMax")),
    **_all((torch.amin, "amin"), reduced("ReduceMin")),
    **_all((torch.masked_fill, "masked_fill"), masked),
    **_all(("to", "float", "long", "int", "bool", "type_as"), cast),
    **_all(("contiguous", "clone", "detach", functional.dropout, functional.dropout2d), _same),
    **_all((functional.max_pool1d, functional.max_pool2d), max_pool),
    **_all((functional.avg_pool1d, functional.avg_pool2d), avg_pool),
    **_all((functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d), adaptive_pool),
    **_all(("expand", "expand_as"), expanded),
    operator.getitem: indexed,
    functional.gelu: gelu,
    functional.hardsigmoid: hardsigmoid,
    functional.hardswish: _unary("HardSwish"),
    functional.layer_norm: layer_norm,
    functional.linear: linear,
    functional.pad: padded,
    functional.relu6: relu6,
    functional.scaled_dot_product_attention: scaled_dot_product_attention,
    functional.silu: silu,
    functional.softplus: softplus,
    torch.stack: stacked,
    torch.where: chosen,
}
