"""What the writers of layers and functions share: the values of a trace, and the ONNX graph that they are written to.

Shapes are found by running the trace once with no rows at all: torch computes nothing, and a size is 0 exactly where
it depends on the number of rows. (torch's meta device would do the same, but loads for a second first.) Where a model
itself asks for its number of rows it is told ``BATCH``, a prime so large that no other size is a multiple of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..runtimes.base import TensorSpec
from .exporter import UnsupportedError, describe
from .graph import INPUT, Graph

BATCH = 1_000_003
# What torch raises when it is asked for something that does not work.
REFUSALS = (RuntimeError, TypeError, ValueError, NotImplementedError, LookupError, AttributeError, AssertionError)
_DTYPES: Mapping[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.bool: np.bool_,
    torch.uint8: np.uint8,
}
_KINDS = {torch.float32: 1, torch.uint8: 2, torch.int32: 6, torch.int64: 7, torch.bool: 9}  # of TensorProto


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the model's input.

    Args:
        name: What it is called in the ONNX graph.
        empty: A tensor of its shape and type with no rows.
        times: How many times the number of rows the size is that is 0.
    """

    name: str
    empty: torch.Tensor
    times: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes; a multiple of ``BATCH`` where it depends on the number of rows."""
        return tuple(size or BATCH * self.times for size in self.empty.shape)

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return self.empty.ndim

    @property
    def dtype(self) -> torch.dtype:
        """The type of its numbers."""
        return self.empty.dtype


class Writing:
    """A graph in the making, and how values get into it.

    Args:
        rows: What the input's rows are.
        layers: The writers of layers by class, for layers that are made of others.
    """

    def __init__(self, rows: TensorSpec, layers: Mapping[type[nn.Module], Callable[..., Any]]) -> None:
        self.graph = Graph(rows)
        self.layers = layers
        self._batch = rows.batch

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.graph.add(op, *inputs, **attributes)

    def layer(self, layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Write a layer and return its value, or the tuple of its values.

        Raises:
            UnsupportedError: It is not known here, or not with these arguments.
        """
        writer = self.layers.get(type(layer))
        if writer is None or layer._forward_hooks or layer._forward_pre_hooks:
            raise UnsupportedError(f"the layer {describe(layer)}")
        first = next(each for each in (*args, *kwargs.values()) if isinstance(each, Value))
        result = first.empty if type(layer) in _SAME_SHAPE else _run(layer, args, kwargs)
        if type(layer) is nn.MultiheadAttention:
            result = (first.empty, None)
        return self.returned(writer(self, result, layer, *args, **kwargs), result, times=first.times)

    def returned(self, names: Any, result: Any, *, times: int) -> Any:
        """Return what a writer has written as values.

        Args:
            names: The name of one tensor, or a list of names; ``None`` in it: an output that nobody may use.
            result: What torch returns for it: a tensor, or a sequence of them.
            times: How many times the number of rows its first size is.
        """
        if isinstance(result, torch.Tensor):
            return Value(names, result, times)
        return tuple(
            None if name is None else Value(name, each, times) for name, each in zip(names, result, strict=True)
        )

    def name(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """Return the name of a value, or of a constant made of a tensor or a number.

        Args:
            value: What it is.
            dtype: The type that it is to have; ``None``: its own, and float32 for a number.

        Raises:
            UnsupportedError: It is no tensor, or of a type that is not known here.
        """
        if isinstance(value, Value):
            return value.name if dtype in (None, value.dtype) else self.cast(value.name, dtype or value.dtype)
        if isinstance(value, torch.Tensor):
            return self.graph.constant(array(value if dtype is None else value.to(dtype)))
        if isinstance(value, bool | int | float) and not mentions_rows(value):
            return self.graph.constant(np.array(value, dtype=_numpy(dtype or torch.float32)))
        raise UnsupportedError(f"the argument {value!r}")

    def cast(self, name: str, dtype: torch.dtype) -> str:
        """Return the name of a value of another type."""
        _numpy(dtype)
        return self.add("Cast", name, to=_KINDS[dtype])

    def integers(self, values: Sequence[int]) -> str:
        """Return the name of a constant list of whole numbers."""
        return self.graph.constant(np.array(values, dtype=np.int64))

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Return the name of a value in another shape, in which one size may depend on the number of rows."""
        if sum(map(is_rows, shape)) > 1:
            raise UnsupportedError("a shape in which two sizes depend on the number of rows")
        return self.add("Reshape", name, self.integers([-1 if is_rows(size) else size for size in shape]))

    def expand(self, name: str, shape: Sequence[int]) -> str:
        """Return the name of a value that is repeated along its axes of size 1, the first one for each row or not."""
        if any(map(is_rows, shape[1:])):
            raise UnsupportedError("an expansion of another axis than the first to the number of rows")
        if not is_rows(shape[0]) or self._batch is not None:
            return self.add("Expand", name, self.integers([shape[0] or self._batch or 1, *shape[1:]]))
        rows = self.add("Shape", INPUT, start=0, end=1)
        return self.add("Expand", name, self.add("Concat", rows, self.integers(shape[1:]), axis=0))

    def axis(self, value: Value, dim: Any, *, what: str) -> int:
        """Return an axis counted from the front.

        Raises:
            UnsupportedError: It is the batch's, or none: rows would be mixed.
        """
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise UnsupportedError(f"{what} over dimension {dim}")
        axis = dim + value.rank if dim < 0 else dim
        if is_rows(value.shape[axis]):
            raise UnsupportedError(f"{what} over dimension {dim}")
        return axis


_SAME_SHAPE = (nn.MultiheadAttention, nn.TransformerEncoder, nn.TransformerEncoderLayer)


def is_rows(size: int) -> bool:
    """Whether a size of a tensor depends on the number of rows."""
    return size % BATCH == 0


def mentions_rows(argument: Any) -> bool:
    """Whether an argument is a number that a model got by asking for its number of rows."""
    return isinstance(argument, int) and not isinstance(argument, bool) and argument != 0 and argument % BATCH == 0


def array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a constant tensor's numbers.

    Raises:
        UnsupportedError: It is of a type that is not known here.
    """
    _numpy(tensor.dtype)
    if tensor.layout != torch.strided:
        raise UnsupportedError("a tensor without numbers")
    numbers: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    return numbers


def _numpy(dtype: torch.dtype) -> type[np.generic]:
    if dtype not in _DTYPES:
        raise UnsupportedError(f"a tensor of the type {dtype}")
    return _DTYPES[dtype]


def without_rows(value: Any) -> Any:
    """Return an argument as it is given to torch: no rows in tensors, and none where they are counted."""
    if isinstance(value, Value):
        return value.empty
    if mentions_rows(value):
        return 0
    if isinstance(value, slice):
        return slice(*map(without_rows, (value.start, value.stop, value.step)))
    if isinstance(value, tuple | list):
        kind = list if isinstance(value, list) else tuple  # a trace has its own kind of list
        return kind(map(without_rows, value))
    if isinstance(value, Mapping):
        return {key: without_rows(each) for key, each in value.items()}
    return value


def _run(layer: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what a layer returns for no rows.

    Raises:
        UnsupportedError: It does not run so.
    """
    try:
        return layer(*without_rows(args), **without_rows(kwargs))
    except REFUSALS as e:
        raise UnsupportedError(f"the layer {describe(layer)} ({first_line(e)})") from e


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
