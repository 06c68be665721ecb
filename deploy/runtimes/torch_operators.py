"""ONNX operators in torch: arithmetic, comparison, shape, selection, reduction. Layers are in ``torch_layers``.

Each operator is one function: its positional arguments are the operator's inputs in order, its keyword arguments the
operator's attributes by their ONNX names (https://onnx.ai/onnx/operators/), with ONNX's defaults. An input that ONNX
has as an attribute in older versions has the attribute's name. Two more keywords are given to a function that asks for
them: ``opset``, the version of the operators, and ``outputs``, the number of outputs that the node has.

The functions run inside the model at every prediction, and ``torch.compile`` traces through them.
"""

# ruff: noqa: D103  # what these functions are is said above, for all of them

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]
Function = Callable[..., Any]

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}


@dataclass(frozen=True)
class Operator:
    """How an ONNX operator is computed.

    Args:
        function: What computes it.
        static: The inputs that are given as numbers or tuples of them: they must not depend on the rows' values.
        scalars: The inputs that are given as a number where they are one known number.
        limits: Returns what it cannot do of what a node's attributes ask for, or ``None``.
    """

    function: Function
    static: frozenset[int] = frozenset()
    scalars: frozenset[int] = frozenset()
    limits: Callable[[Attributes], str | None] | None = None


OPERATORS: dict[str, Operator] = {
    "Abs": Operator(torch.abs),
    "Acos": Operator(torch.acos),
    "And": Operator(torch.logical_and),
    "Asin": Operator(torch.asin),
    "Atan": Operator(torch.atan),
    "Add": Operator(torch.add),
    "Ceil": Operator(torch.ceil),
    "Cos": Operator(torch.cos),
    "Cosh": Operator(torch.cosh),
    "Det": Operator(torch.linalg.det),
    "Equal": Operator(torch.eq),
    "Erf": Operator(torch.erf),
    "Exp": Operator(torch.exp),
    "Floor": Operator(torch.floor),
    "Greater": Operator(torch.gt),
    "GreaterOrEqual": Operator(torch.ge),
    "IsNaN": Operator(torch.isnan),
    "Less": Operator(torch.lt),
    "LessOrEqual": Operator(torch.le),
    "Log": Operator(torch.log),
    "MatMul": Operator(torch.matmul),
    "Mul": Operator(torch.mul),
    "Neg": Operator(torch.neg),
    "Not": Operator(torch.logical_not),
    "Or": Operator(torch.logical_or),
    "Reciprocal": Operator(torch.reciprocal),
    "Relu": Operator(torch.relu),
    "Round": Operator(torch.round),
    "Sigmoid": Operator(torch.sigmoid),
    "Sign": Operator(torch.sign),
    "Sin": Operator(torch.sin),
    "Sinh": Operator(torch.sinh),
    "Softsign": Operator(functional.softsign),
    "Sqrt": Operator(torch.sqrt),
    "Sub": Operator(torch.sub),
    "Tan": Operator(torch.tan),
    "Tanh": Operator(torch.tanh),
    "Where": Operator(torch.where),
    "Xor": Operator(torch.logical_xor),
}


def operator(
    name: str,
    *,
    static: Sequence[int] = (),
    scalars: Sequence[int] = (),
    limits: Callable[[Attributes], str | None] | None = None,
) -> Callable[[Function], Function]:
    """Register a function as the ONNX operator ``name``; the arguments are those of ``Operator``."""

    def register(function: Function) -> Function:
        OPERATORS[name] = Operator(function, frozenset(static), frozenset(scalars), limits)
        return function

    return register


def as_ints(value: int | Sequence[int]) -> tuple[int, ...]:
    """Return one or several numbers as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,)  # type: ignore[return-value]


# Arithmetic


@operator("Div")
def divide(a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point() or b.is_floating_point():
        return torch.div(a, b)
    return torch.div(a, b, rounding_mode="trunc")


@operator("Mod")
def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Pow", scalars=(1,))
def power(base: Tensor, exponent: Tensor | float) -> Tensor:
    return torch.pow(base, exponent).to(base.dtype)


@operator("Sum")
def total(*values: Tensor) -> Tensor:
    return functools.reduce(torch.add, values)


@operator("Mean")
def mean(*values: Tensor) -> Tensor:
    return functools.reduce(torch.add, values) / len(values)


@operator("Min")
def minimum(*values: Tensor) -> Tensor:
    return functools.reduce(torch.minimum, values)


@operator("Max")
def maximum(*values: Tensor) -> Tensor:
    return functools.reduce(torch.maximum, values)


@operator("Clip", scalars=(1, 2))
def clip(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    return x if min is None and max is None else torch.clamp(x, min, max)


@operator("IsInf")
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    return (torch.isposinf(x) & bool(detect_positive)) | (torch.isneginf(x) & bool(detect_negative))


@operator("Cast")
def cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:  # noqa: ARG001  # saturate is of float8 alone
    return x.to(DTYPES[to])


@operator("CastLike")
def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1) -> Tensor:  # noqa: ARG001
    return x.to(like.dtype)


@operator("CumSum", static=(1,))
def cumulative_sum(x: Tensor, axis: int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    (axis,) = as_ints(axis)
    x = x.flip(axis) if reverse else x
    sums = x.cumsum(axis, dtype=x.dtype)
    sums = sums - x if exclusive else sums
    return sums.flip(axis) if reverse else sums


@operator("Einsum")
def einsum(*values: Tensor, equation: str) -> Tensor:
    return torch.einsum(equation, *values)


@operator("Gemm")
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    a = a.t() if transA else a
    if transB and alpha == 1.0 and (c is None or (beta == 1.0 and c.dim() == 1)):
        return functional.linear(a, b, c)
    b = b.t() if transB else b
    if c is None:
        return torch.mm(a, b) if alpha == 1.0 else alpha * torch.mm(a, b)
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)


# Shape


@operator("Identity")
def identity(x: Tensor) -> Tensor:
    return x


@operator("Dropout")
def dropout(x: Tensor, *_: Any, ratio: float = 0.5, seed: int = 0) -> Tensor:  # noqa: ARG001
    return x


@operator("Reshape", static=(1,))
def reshape(x: Tensor, shape: Sequence[int], *, allowzero: int = 0) -> Tensor:
    sizes = as_ints(shape)
    if not allowzero:
        sizes = tuple(x.shape[at] if isinstance(size, int) and size == 0 else size for at, size in enumerate(sizes))
    return x.reshape(sizes)


@operator("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    if axis == 0:
        return x.reshape(1, -1)
    return x.reshape(math.prod(x.shape[:axis]), -1) if axis > 1 else x.flatten(1)


@operator("Transpose")
def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    return x.permute(tuple(perm) if perm else tuple(reversed(range(x.dim()))))


@operator("Squeeze", static=(1,))
def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(as_ints(axes))


@operator("Unsqueeze", static=(1,))
def unsqueeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    axes = as_ints(axes)
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("Concat")
def concatenate(*values: Tensor, axis: int) -> Tensor:
    return torch.cat(values, dim=axis)


@operator("Split", static=(1,))
def split(
    x: Tensor, split: Sequence[int] | None = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int
) -> tuple[Tensor, ...]:
    if split is not None:
        return torch.split(x, list(as_ints(split)), dim=axis)
    return torch.split(x, -(-x.shape[axis] // (num_outputs or outputs)), dim=axis)


@operator("Expand", static=(1,))
def expand(x: Tensor, shape: Sequence[int]) -> Tensor:
    sizes = as_ints(shape)
    sizes = (1,) * (x.dim() - len(sizes)) + sizes
    first = len(sizes) - x.dim()
    return x.expand(tuple(-1 if at >= first and _is_one(size) else size for at, size in enumerate(sizes)))


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1  # the batch, when it is a symbol, is no 1


@operator("Tile", static=(1,))
def tile(x: Tensor, repeats: Sequence[int]) -> Tensor:
    return x.repeat(as_ints(repeats))


@operator("Pad", static=(1, 3), scalars=(2,))
def pad(
    x: Tensor, pads: Sequence[int], value: Any = 0.0, axes: Sequence[int] | None = None, *, mode: str = "constant"
) -> Tensor:
    pads = as_ints(pads)
    chosen = range(x.dim()) if axes is None else [axis % x.dim() for axis in as_ints(axes)]
    ends = dict(zip(chosen, zip(pads[: len(chosen)], pads[len(chosen) :], strict=True), strict=True))
    last = min((axis for axis in ends if any(ends[axis])), default=x.dim())
    widths = [width for axis in reversed(range(last, x.dim())) for width in ends.get(axis, (0, 0))]
    if mode == "constant":
        return functional.pad(x, widths, value=0.0 if value is None else float(value))
    return functional.pad(x, widths, mode={"edge": "replicate", "wrap": "circular"}.get(mode, mode))


@operator("ConstantOfShape", static=(0,))
def constant_of_shape(shape: Sequence[int], *, value: Tensor | None = None) -> Tensor:
    sizes = as_ints(shape)
    return torch.zeros(sizes) if value is None else value.reshape(()).expand(sizes)


@operator("Range", static=(0, 1, 2))
def number_range(start: Any, limit: Any, delta: Any) -> Tensor:
    (start,), (limit,), (delta,) = as_ints(start), as_ints(limit), as_ints(delta)
    return torch.arange(start, limit, delta)


@operator("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    if mode == "CRD":
        return functional.pixel_shuffle(x, blocksize)
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, blocksize, blocksize, channels // blocksize**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * blocksize, width * blocksize)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // blocksize, blocksize, width // blocksize, blocksize)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // blocksize, width // blocksize)


# Selection


@operator("Slice", static=(1, 2, 3, 4))
def take_slice(
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Tensor:
    starts, ends = as_ints(starts), as_ints(ends)
    axes = range(len(starts)) if axes is None else as_ints(axes)
    steps = (1,) * len(starts) if steps is None else as_ints(steps)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step > 0:
            x = x[(slice(None),) * (axis % x.dim()) + (slice(start, end, step),)]
        else:
            places = list(range(x.shape[axis]))[start:end:step]
            x = x.index_select(axis, torch.tensor(places, dtype=torch.int64))
    return x


@operator("Gather", scalars=(1,))
def gather(x: Tensor, indices: Tensor | int, *, axis: int = 0) -> Tensor:
    if not isinstance(indices, Tensor):
        return x.select(axis, indices)
    return x[(slice(None),) * (axis % x.dim()) + (indices.long(),)]


@operator("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    return x.gather(axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


@operator("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    rows = [
        torch.arange(x.shape[at]).reshape([-1 if i == at else 1 for i in range(indices.dim() - 1)])
        for at in range(batch_dims)
    ]
    return x[(*rows, *indices.long().unbind(-1))]


@operator("ScatterND", limits=lambda a: _only(a, "reduction", ("none", "add")))
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    return x.index_put(indices.long().unbind(-1), updates, accumulate=reduction == "add")


@operator("ScatterElements", limits=lambda a: _only(a, "reduction", ("none", "add")))
def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    places = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    return x.scatter_add(axis, places, updates) if reduction == "add" else x.scatter(axis, places, updates)


@operator("Trilu", static=(1,))
def trilu(x: Tensor, k: Any = 0, *, upper: int = 1) -> Tensor:
    (diagonal,) = as_ints(k)
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


@operator("OneHot", static=(1,))
def one_hot(indices: Tensor, depth: Any, values: Tensor, *, axis: int = -1) -> Tensor:
    (columns,) = as_ints(depth)
    columns = int(columns)
    hot = torch.remainder(indices, columns).unsqueeze(-1) == torch.arange(columns)
    inside = ((indices >= -columns) & (indices < columns)).unsqueeze(-1)
    return torch.where(hot & inside, values[1], values[0]).movedim(-1, axis)


@operator("TopK", static=(1,))
def top_k(  # sorted and stable: of equals, ONNX takes the first
    x: Tensor,
    k: Any,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    (count,) = as_ints(k)
    values, places = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


@operator("ArgMax")
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1) -> Tensor:
    return torch.argmax(x, dim=axis, keepdim=bool(keepdims))


@operator("ArgMin")
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1) -> Tensor:
    return torch.argmin(x, dim=axis, keepdim=bool(keepdims))


# Reduction


def _reduction(name: str) -> Callable[[Callable[[Tensor, tuple[int, ...], bool], Tensor]], Function]:
    """Register a reduction ``f(x, axes, keep)`` as the ONNX operator ``name``."""

    def register(reduce: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Function:
        @functools.wraps(reduce)
        def function(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
            chosen = () if axes is None else as_ints(axes)
            if not chosen and noop_with_empty_axes:
                return x
            return reduce(x, chosen or tuple(range(x.dim())), bool(keepdims))

        del function.__wrapped__  # else its signature would be that of ``reduce``
        return operator(name, static=(1,))(function)

    return register


@_reduction("ReduceMean")
def reduce_mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.mean(x, dim=axes, keepdim=keep)


@_reduction("ReduceSum")
def reduce_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(x, dim=axes, keepdim=keep, dtype=x.dtype)


@_reduction("ReduceMax")
def reduce_max(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.amax(x, dim=axes, keepdim=keep)


@_reduction("ReduceMin")
def reduce_min(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.amin(x, dim=axes, keepdim=keep)


@_reduction("ReduceProd")
def reduce_prod(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keep, dtype=x.dtype)
    return x


@_reduction("ReduceL1")
def reduce_l1(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(torch.abs(x), dim=axes, keepdim=keep, dtype=x.dtype)


@_reduction("ReduceL2")
def reduce_l2(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sqrt(torch.sum(x * x, dim=axes, keepdim=keep))


@_reduction("ReduceSumSquare")
def reduce_sum_square(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(x * x, dim=axes, keepdim=keep, dtype=x.dtype)


@_reduction("ReduceLogSum")
def reduce_log_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.log(torch.sum(x, dim=axes, keepdim=keep))


@_reduction("ReduceLogSumExp")
def reduce_log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.logsumexp(x, dim=axes, keepdim=keep)


def _only(attributes: Attributes, name: str, known: Sequence[str]) -> str | None:
    value = attributes.get(name, known[0])
    return None if value in known else f"{name} = {value!r}"
