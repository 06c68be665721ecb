"""How what only moves numbers is written in ONNX: views, permutations, parts, concatenations, repetitions, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .exporter import UnsupportedError
from .torch_writing import BATCH, Value, Writing, is_rows


def reshaped(w: Writing, result: torch.Tensor, x: Value, *_: Any, **__: Any) -> str:
    """Write whatever only changes the shape: view, flatten, squeeze, unsqueeze ... torch has worked out to which."""
    if x.empty.shape == result.shape:
        return x.name
    return w.reshape(x.name, tuple(result.shape))


def shape_of_view(x: Value, *sizes: Any, **named: Any) -> tuple[torch.Tensor, int]:
    """Return what ``view`` and ``reshape`` return: torch cannot tell the size that is -1 when there are no rows.

    Args:
        x: The tensor.
        *sizes: The new sizes.
        **named: ``shape``, where they are given so.

    Returns:
        A tensor without rows, and how many times the number of rows its size is that is 0.
    """
    if not named and len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = tuple(sizes[0])
    shape = list(named.get("shape", sizes))
    if not all(isinstance(size, int) for size in shape):
        raise UnsupportedError("a view of another type")
    known, total = math.prod(size for size in shape if size != -1), math.prod(x.shape)
    if -1 in shape:
        shape[shape.index(-1)] = total // known
    if math.prod(shape) != total:
        raise UnsupportedError(f"a view of {list(x.empty.shape)} as {shape}")
    return x.empty.new_empty([0 if is_rows(size) else size for size in shape]), rows_in(x, shape)


def rows_in(x: Value, shape: Sequence[int]) -> int:
    """Return how many times the number of rows the size is that depends on it, when ``x`` gets another shape."""
    return math.prod(x.shape) // BATCH // max(1, math.prod(size for size in shape if not is_rows(size)))


def permuted(w: Writing, result: torch.Tensor, x: Value, *dims: Any, **named: Any) -> str:
    """Write a permutation of the axes; where they go is read off strides, which torch has worked out."""
    del result
    marker = torch.empty((1,) * x.rank).expand(tuple(range(2, 2 + x.rank)))
    order = named.get("dims", dims[0] if dims and isinstance(dims[0], tuple | list) else dims)
    sizes = marker.permute(*order).shape
    return w.add("Transpose", x.name, perm=[size - 2 for size in sizes])


def transposed(w: Writing, result: torch.Tensor, x: Value, dim0: int = -2, dim1: int = -1) -> str:
    """Write an exchange of two axes."""
    del result
    order = list(range(x.rank))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return w.add("Transpose", x.name, perm=order)


def concatenated(w: Writing, result: torch.Tensor, tensors: Any, dim: int = 0) -> str:
    """Write a concatenation along any axis but the batch; constants are repeated for all rows."""
    model = next(each for each in tensors if isinstance(each, Value))
    axis = w.axis(model, dim, what="a concatenation")
    return w.add("Concat", *(w.name(each, result.dtype) for each in tensors), axis=axis)


def stacked(w: Writing, result: torch.Tensor, tensors: Any, dim: int = 0) -> str:
    """Write a stack along a new axis."""
    axis = dim + result.ndim if dim < 0 else dim
    shape = [1 if at == axis else size for at, size in enumerate(result.shape)]
    if axis == 0 or not all(isinstance(each, Value) for each in tensors):
        raise UnsupportedError(f"a stack over dimension {dim}")
    return w.add("Concat", *(w.reshape(w.name(each, result.dtype), shape) for each in tensors), axis=axis)


def split(w: Writing, result: Sequence[torch.Tensor], x: Value, sizes: Any = None, dim: int = 0) -> list[str]:
    """Write a split or chunk into parts; torch has worked out how large they are."""
    del sizes
    axis = w.axis(x, dim, what="a split")
    parts = w.integers([part.shape[axis] for part in result])
    return list(w.graph.add_many("Split", x.name, parts, outputs=len(result), axis=axis))


def unbound(w: Writing, result: Sequence[torch.Tensor], x: Value, dim: int = 0) -> list[str]:
    """Write the slices along an axis, without it."""
    axis = w.axis(x, dim, what="an unbind")
    names = w.graph.add_many("Split", x.name, w.integers([1] * len(result)), outputs=len(result), axis=axis)
    return [w.reshape(name, tuple(part.shape)) for name, part in zip(names, result, strict=True)]


def indexed(w: Writing, result: torch.Tensor, x: Any, index: Any) -> str:
    """Write ``x[index]`` for whole numbers, slices, ``None`` and ``...``; the batch is taken whole."""
    items = list(index) if isinstance(index, tuple) else [index]
    if not isinstance(x, Value) or not all(
        item is None or item is Ellipsis or isinstance(item, int | slice) for item in items
    ):
        raise UnsupportedError("an index that is a tensor")
    used = sum(item is not None and item is not Ellipsis for item in items)
    rest = [slice(None)] * (x.rank - used)
    at = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    items = [*items[:at], *rest, *items[at + 1 :]]
    cuts = [(axis, item) for axis, item in enumerate(i for i in items if i is not None) if item != slice(None)]
    if any(is_rows(x.shape[axis]) for axis, _ in cuts):
        raise UnsupportedError("an index over dimension 0")
    if len(cuts) == 1 and isinstance(cuts[0][1], int) and None not in items:
        return w.add("Gather", x.name, w.graph.constant(np.array(cuts[0][1], dtype=np.int64)), axis=cuts[0][0])
    name = x.name
    if cuts:
        bounds = [_bounds(item, x.shape[axis]) for axis, item in cuts]
        starts, stops, steps = (w.integers(values) for values in zip(*bounds, strict=True))
        name = w.add("Slice", name, starts, stops, w.integers([axis for axis, _ in cuts]), steps)
    plain = all(isinstance(item, slice) for item in items)
    return name if plain else w.reshape(name, tuple(result.shape))


def _bounds(item: Any, size: int) -> tuple[int, int, int]:
    if isinstance(item, slice):
        return item.indices(size)
    at = item + size if item < 0 else item
    return at, at + 1, 1


def expanded(w: Writing, result: torch.Tensor, x: Value, *_: Any, **__: Any) -> str:
    """Write a repetition along axes of size 1."""
    shape = [1 if is_rows(size) and is_rows(have) else size for size, have in _aligned(result, x)]
    return w.expand(x.name, shape)


def _aligned(result: torch.Tensor, x: Value) -> list[tuple[int, int]]:
    have = [1] * (result.ndim - x.rank) + list(x.shape)
    return list(zip(result.shape, have, strict=True))


def padded(
    w: Writing, result: torch.Tensor, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> str:
    """Write a padding; torch counts the axes from the last."""
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    pairs = [tuple(pad[at : at + 2]) for at in range(0, len(pad), 2)]
    if mode not in modes or len(pairs) >= x.rank or not all(isinstance(each, int) for each in pad):
        raise UnsupportedError(f"a padding of {list(pad)} by {mode!r}")
    pairs = [(0, 0)] * (x.rank - len(pairs)) + pairs[::-1]
    amounts = w.integers([p[0] for p in pairs] + [p[1] for p in pairs])
    fill = [w.name(0.0 if value is None else value, result.dtype)] if mode == "constant" else []
    return w.add("Pad", x.name, amounts, *fill, mode=modes[mode])
