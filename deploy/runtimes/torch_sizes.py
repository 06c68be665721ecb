"""ONNX operators on sizes: the shape of a tensor and what a model computes from it, in Python's own numbers.

Exported networks compute the arguments of a reshape from the shape of its input. As tensors these would have to be read
back at every prediction, and ``torch.compile`` would stop there; as numbers, or the symbols that stand for them while
it traces, they cost nothing. A size is an ``int`` (a tensor of no axes) or a tuple of them (of one axis).
"""

# ruff: noqa: D103  # what these functions are is said above, for all of them

from __future__ import annotations

import functools
import math
import operator as python
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .torch_operators import DTYPES, as_ints

Size = Any  # int, or tuple of int


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Size:
    """Return the sizes of a tensor's axes from ``start`` to before ``end``."""
    return tuple(x.shape)[start:end]


def size(x: Tensor) -> Size:
    """Return the number of a tensor's values."""
    return x.numel()


def to_tensor(value: Size) -> Tensor:
    """Return a size as the int64 tensor that it is in ONNX."""
    return torch.tensor(value, dtype=torch.int64)


def length(value: Size) -> Size:
    """Return how many numbers a size has, as a size."""
    return (len(value),) if isinstance(value, tuple) else ()


def repeat(count: Size, item: int) -> Size:
    """Return a size of ``count`` equal numbers."""
    return (item,) * count[0] if count else item


def gather(value: Size, indices: Size, *, axis: int = 0) -> Size:  # noqa: ARG001  # there is one axis
    return tuple(value[at] for at in indices) if isinstance(indices, tuple) else value[indices]


def concatenate(*values: Size, axis: int) -> Size:  # noqa: ARG001
    return tuple(item for value in values for item in as_ints(value))


def unsqueeze(value: Size, axes: Size = (0,)) -> Size:  # noqa: ARG001
    return as_ints(value)


def squeeze(value: Size, axes: Size = None) -> Size:  # noqa: ARG001
    (item,) = as_ints(value)
    return item


def reshape(value: Size, shape: Size, *, allowzero: int = 0) -> Size:  # noqa: ARG001
    return as_ints(value) if as_ints(shape) else squeeze(value)


def take_slice(value: Size, starts: Size, ends: Size, axes: Size = None, steps: Size = 1) -> Size:  # noqa: ARG001
    (start,), (end,), (step,) = as_ints(starts), as_ints(ends), as_ints(steps)
    return tuple(value)[start:end:step]


def identity(value: Size, **_: Any) -> Size:
    return value


def product(value: Size, axes: Size = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Size:  # noqa: ARG001
    result = math.prod(as_ints(value))
    return (result,) if keepdims else result


def _each(compute: Callable[..., Any], *values: Size) -> Size:
    """Apply a function to sizes, item by item; a single number goes with each item."""
    lengths = {len(value) for value in values if isinstance(value, tuple)}
    if not lengths:
        return compute(*values)
    length = max(lengths)
    spread = [value * length if len(value) == 1 else value for value in map(as_ints, values)]
    return tuple(compute(*items) for items in zip(*spread, strict=True))


def add(a: Size, b: Size) -> Size:
    return _each(python.add, a, b)


def subtract(a: Size, b: Size) -> Size:
    return _each(python.sub, a, b)


def multiply(a: Size, b: Size) -> Size:
    return _each(python.mul, a, b)


def divide(a: Size, b: Size) -> Size:  # sizes are not negative: truncation and floor are the same
    return _each(python.floordiv, a, b)


def mod(a: Size, b: Size, *, fmod: int = 0) -> Size:  # noqa: ARG001
    return _each(python.mod, a, b)


def minimum(*values: Size) -> Size:
    return functools.reduce(lambda a, b: _each(min, a, b), values)


def maximum(*values: Size) -> Size:
    return functools.reduce(lambda a, b: _each(max, a, b), values)


def equal(a: Size, b: Size) -> Size:
    return _each(python.eq, a, b)


def where(condition: Size, a: Size, b: Size) -> Size:
    return _each(lambda chosen, first, second: first if chosen else second, condition, a, b)


SIZE_OPERATORS: dict[str, Callable[..., Size]] = {
    "Add": add,
    "Cast": identity,
    "Concat": concatenate,
    "Div": divide,
    "Equal": equal,
    "Gather": gather,
    "Identity": identity,
    "Max": maximum,
    "Min": minimum,
    "Mod": mod,
    "Mul": multiply,
    "ReduceProd": product,
    "Reshape": reshape,
    "Slice": take_slice,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Unsqueeze": unsqueeze,
    "Where": where,
}

_INTEGERS = {code for code, dtype in DTYPES.items() if dtype in (torch.int32, torch.int64)}


def stays_size(op: str, attributes: dict[str, Any]) -> bool:
    """Say whether an operator makes a size of sizes: not a cast to another kind of number."""
    return op in SIZE_OPERATORS and (op != "Cast" or attributes.get("to") in _INTEGERS)
