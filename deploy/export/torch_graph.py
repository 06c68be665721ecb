"""A torch module of known layers, written as an ONNX graph from its symbolic trace.

Layers and functions are looked up in two tables (``torch_layers``, ``torch_functions``); whatever is in neither raises
``UnsupportedError`` and names itself. What does not depend on the input (positions, masks, scaled weights) is computed
by torch while writing and stored as a constant.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from onnx import ModelProto
from torch import fx, nn

from ..runtimes.base import TensorSpec
from .exporter import UnsupportedError
from .graph import INPUT
from .torch_functions import FUNCTIONS, IN_PLACE, RESHAPES, VIEWS
from .torch_layers import LAYERS, NORMS, fold_norm
from .torch_shapes import rows_in, shape_of_view
from .torch_writing import BATCH, REFUSALS, Value, Writing, first_line, mentions_rows, without_rows

_PLAIN = ("size", "dim", "is_floating_point", len)  # what tells a plain value about a tensor
_FIELDS = ("shape", "ndim", "dtype", "device")
_ARITHMETIC = ("_operator", "builtins", "math")  # the modules of functions that compute with plain numbers


def write_module(module: nn.Module, *, rows: TensorSpec, output: str, columns: int) -> ModelProto:
    """Write a module that maps one tensor to one.

    Args:
        module: The module, in ``eval`` mode.
        rows: What its rows are, and whether the batch is fixed.
        output: Name of the output.
        columns: Number of columns of the output.

    Raises:
        UnsupportedError: It cannot be traced, or something in it is not known here; the message names it.
    """
    with _traced(module) as trace, torch.no_grad():
        return _Translation(module, Writing(rows, LAYERS)).write(trace, output=output, columns=columns)


class _Tracer(fx.Tracer):
    """Traces buffers too, so that they may be cut to a size that is read from the input."""

    proxy_buffer_attributes = True


@contextmanager
def _traced(module: nn.Module) -> Iterator[fx.Graph]:
    """Trace a module and write it; whatever a trace leaves in it and its parts is taken out again.

    A trace runs ``forward`` with stand-ins for tensors: it adds constants to the module, and an attribute or a buffer that
    ``forward`` assigns holds a stand-in afterwards.
    """
    with restored(module):
        try:
            trace = _Tracer().trace(module)
            _check_unassigned(module)
            yield trace
        except UnsupportedError:
            raise
        except (fx.proxy.TraceError, NameError, *REFUSALS) as e:
            raise UnsupportedError(f"a forward() that cannot be traced ({first_line(e)})") from e


_TABLES = ("_buffers", "_parameters", "_modules")


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """Put back every attribute, buffer, parameter and submodule as it was, and what buffers hold.

    Args:
        module: The module, with all its parts.
    """
    parts = list(module.modules())
    before = [(vars(part).copy(), {table: vars(part)[table].copy() for table in _TABLES}) for part in parts]
    held = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for part, (attributes, tables) in zip(parts, before, strict=True):
            vars(part).clear()
            vars(part).update(attributes)
            for table, entries in tables.items():
                vars(part)[table].clear()
                vars(part)[table].update(entries)
        with torch.no_grad():
            for buffer, content in held:
                buffer.copy_(content)


def _check_unassigned(module: nn.Module) -> None:
    """Refuse a forward that assigned what depends on its input, or a buffer: the next call would see another one."""
    for part in module.modules():
        for name, value in [*vars(part).items(), *part._buffers.items()]:
            if isinstance(value, fx.Proxy):
                raise UnsupportedError(f"a forward() that assigns {name!r}")


class _Translation:
    """A module on its way into a graph.

    Args:
        module: The module that was traced.
        writing: The graph.
    """

    def __init__(self, module: nn.Module, writing: Writing) -> None:
        self._module = module
        self._writing = writing
        self._values: dict[fx.Node, Any] = {}  # a Value, a constant, or a tuple of them
        self._folded: set[fx.Node] = set()

    def write(self, trace: fx.Graph, *, output: str, columns: int) -> ModelProto:
        """Write every node and return the model."""
        for node in trace.nodes:
            if node.op == "output":
                return self._finish(_lookup(node.args[0], self._values), output=output, columns=columns)
            self._values[node] = self._node(node)
        raise UnsupportedError("a forward() without a result")

    def _finish(self, value: Any, *, output: str, columns: int) -> ModelProto:
        if not isinstance(value, Value):
            raise UnsupportedError("a forward() that returns something else than one tensor of the input")
        name = self._writing.name(value, torch.float32)
        if value.shape == (BATCH,) and columns == 1:
            name = self._writing.reshape(name, (BATCH, 1))
        elif value.shape != (BATCH, columns):
            raise UnsupportedError("a forward() that does not return a row of numbers for each row")
        return self._writing.graph.finish(name, output=output, columns=columns)

    def _node(self, node: fx.Node) -> Any:
        """Write one node of the trace and return what it stands for."""
        if node.op == "placeholder":
            return self._placeholder(node)
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self._module)
        args, kwargs = _lookup(node.args, self._values), _lookup(node.kwargs, self._values)
        if node.op == "call_module":
            return self._layer(node, args, kwargs)
        if not _reads_input((args, kwargs)):
            return self._constant(node, args, kwargs)
        return self._function(node, args, kwargs)

    def _placeholder(self, node: fx.Node) -> Any:
        if self._values:
            if not node.args:
                raise UnsupportedError("a forward() with several arguments")
            return node.args[0]  # an argument's default
        rows = self._writing.graph.rows
        dtype = getattr(torch, rows.dtype)
        device = next((each.device for each in self._module.parameters()), None)
        return Value(INPUT, torch.empty([0, *(size or 1 for size in rows.shape)], dtype=dtype, device=device))

    def _layer(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        layer = self._module.get_submodule(str(node.target))
        if node in self._folded:
            return args[0]
        if not _reads_input((args, kwargs)):
            return layer(*args, **kwargs)
        if getattr(layer, "inplace", False):
            _check_only_user(node)
        norm = self._norm_after(node)
        folded = None if norm is None else fold_norm(layer, self._module.get_submodule(str(norm.target)), args[0])
        if norm is not None and folded is not None:
            self._folded.add(norm)
            layer = folded
        return self._writing.layer(layer, *args, **kwargs)

    def _norm_after(self, node: fx.Node) -> fx.Node | None:
        """Return the batch normalization that alone reads a layer's result."""
        user = next(iter(node.users), None)
        if user is None or len(node.users) > 1 or user.op != "call_module" or user.args != (node,) or user.kwargs:
            return None
        return user if type(self._module.get_submodule(str(user.target))) in NORMS else None

    def _function(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if node.target is operator.getitem and isinstance(args[0], tuple | list):
            return args[0][args[1]]
        first = next(each for each in _leaves((args, kwargs)) if isinstance(each, Value))
        if node.target in _PLAIN or (node.target is getattr and args[1] in _FIELDS):
            return _counted(_run(node, without_rows(args), without_rows(kwargs)), first.times)
        function = FUNCTIONS.get(node.target)
        if function is None:
            raise UnsupportedError(f"the operation {_name(node)!r}")
        if node.target in IN_PLACE or kwargs.get("inplace"):
            _check_only_user(node)
        times = first.times
        if node.target in VIEWS:
            result, times = shape_of_view(*args, **kwargs)
        else:
            result = _run(node, without_rows(args), without_rows(kwargs))
            if node.target in RESHAPES:
                times = rows_in(first, result.shape)
        try:
            return self._writing.returned(function(self._writing, result, *args, **kwargs), result, times=times)
        except TypeError as e:
            raise UnsupportedError(f"these arguments of {_name(node)!r}: {e}") from e

    def _constant(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        """Compute what does not depend on the input; only its number of rows may."""
        inputs = list(_leaves((args, kwargs)))
        if not any(map(mentions_rows, inputs)):
            return _run(node, args, kwargs)
        tensors = [each for each in inputs if isinstance(each, torch.Tensor)]
        if not tensors and getattr(node.target, "__module__", None) in _ARITHMETIC:
            return _run(node, args, kwargs)
        if node.target != "expand":
            raise UnsupportedError(f"the operation {_name(node)!r} with the number of rows")
        result = _run(node, without_rows(args), without_rows(kwargs))
        return Value(self._writing.expand(self._writing.name(args[0]), tuple(result.shape)), result)


def _counted(result: Any, times: int) -> Any:
    """Return a size or sizes with the number of rows in the place of 0."""
    if isinstance(result, torch.device):
        return torch.device("cpu")
    if isinstance(result, torch.Size):
        return torch.Size(size or BATCH * times for size in result)
    if isinstance(result, int) and not isinstance(result, bool):
        return result or BATCH * times
    return result


def _run(node: fx.Node, args: Any, kwargs: Any) -> Any:
    """Do what a node does.

    Raises:
        UnsupportedError: It cannot be done with these arguments.
    """
    try:
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)  # noqa: S101  # what a call_function has
        return node.target(*args, **kwargs)
    except REFUSALS as e:
        raise UnsupportedError(f"the operation {_name(node)!r} ({first_line(e)})") from e


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _check_only_user(node: fx.Node) -> None:
    """Refuse what is changed in place and read elsewhere too: a trace does not tell which comes first."""
    changed = node.args[0] if node.args else None
    if isinstance(changed, fx.Node) and len(changed.users) > 1:
        raise UnsupportedError(f"a tensor that {_name(node)!r} changes in place and others read")


def _lookup(argument: Any, values: Mapping[fx.Node, Any]) -> Any:
    """Return an argument with every node replaced by what it stands for."""
    return fx.map_arg(argument, values.__getitem__)


def _leaves(argument: Any) -> Iterator[Any]:
    """Yield what is in an argument that may be nested."""
    if isinstance(argument, tuple | list):
        for each in argument:
            yield from _leaves(each)
    elif isinstance(argument, Mapping):
        yield from _leaves(list(argument.values()))
    elif isinstance(argument, slice):
        yield from (argument.start, argument.stop, argument.step)
    else:
        yield argument


def _reads_input(argument: Any) -> bool:
    return any(isinstance(each, Value) for each in _leaves(argument))
