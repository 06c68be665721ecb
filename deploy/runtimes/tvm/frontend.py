"""From an ONNX file to TVM's own form of a model, with fixed sizes. It compiles nothing."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....errors import MeasurementError, MissingDependencyError
from ..base import TensorSpec, named, other_shape, unusable

try:
    import onnx
    import tvm
    from google.protobuf.message import DecodeError
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx
except ImportError as e:
    raise MissingDependencyError("The runtime 'tvm' is not installed.", hint="pip install 'omniforge[tvm]'") from e

# TVM's frontend, passes and virtual machine raise these; they have no common base below Exception.
FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
_STANDARD_DOMAINS = ("", "ai.onnx")
_OPERATOR = re.compile(r"Error converting operator (\w+)")


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX model of one input and one output, read and checked.

    Args:
        proto: The model.
        name: How errors call it.
        input_name: The name of its input.
        input: What a row is.
        output_name: The name of its output.
    """

    proto: Any = field(repr=False)
    name: str
    input_name: str
    input: TensorSpec
    output_name: str


def read_model(model: Path | str | bytes) -> OnnxModel:
    """Read an ONNX file, or its content.

    Raises:
        MeasurementError: It is missing, broken, or not of one input ``[batch, ...]`` and one output; or a size other than
            the batch is left open: TVM compiles for fixed sizes. Not retryable.
    """
    shown = named(model)
    try:
        proto = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(str(model))
    except FileNotFoundError as e:
        raise unusable(f"{shown} does not exist.") from e
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as e:
        raise unusable(f"{shown} cannot be read as ONNX: {first_line(e)}") from e
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    outputs = list(proto.graph.output)
    if not proto.graph.node or not inputs or not outputs:
        raise unusable(f"{shown} cannot be read as ONNX: it has no graph.")
    sizes, dtype = _sizes(inputs[0])
    if len(inputs) != 1 or len(outputs) != 1 or len(sizes) < 2:
        listed = ", ".join(f"{value.name} {list(_sizes(value)[0])}" for value in [*inputs, *outputs])
        raise other_shape(model, listed)
    if None in sizes[1:]:
        raise unusable(
            f"{shown} leaves a size of its input open: {list(sizes)}. TVM compiles for fixed sizes.",
            hint="Export it with every size but the batch fixed.",
        )
    return OnnxModel(proto, shown, inputs[0].name, TensorSpec(sizes[1:], dtype, sizes[0]), outputs[0].name)


def to_relax(model: OnnxModel, *, rows: int) -> Any:
    """Return a model as a module of Relax, TVM's graph form, for batches of ``rows`` rows.

    Args:
        model: The model.
        rows: The batch, at least 1.

    Raises:
        MeasurementError: TVM does not know one of its operators, or not in this form; the message names the operator.
    """
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in model.proto.graph.node if n.domain not in _STANDARD_DOMAINS})
    if foreign:
        raise _unknown(model, ", ".join(foreign))
    printed = io.StringIO()  # the frontend prints which operator it was at, and raises whatever it ran into
    shape = [rows, *model.input.shape]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
            warnings.simplefilter("ignore")
            return from_onnx(model.proto, shape_dict={model.input_name: shape})
    except tvm.error.OpNotImplemented as e:
        raise _unknown(model, first_line(e).rpartition(": ")[2]) from e
    except FAILURES as e:
        at = _OPERATOR.search(printed.getvalue())
        where = f" at the operator {at[1]}" if at else ""
        raise unusable(f"{model.name} cannot be imported by TVM{where}: {first_line(e)}") from e


def output_type(module: Any, *, model: OnnxModel) -> tuple[tuple[int, int], str]:
    """Return the shape and numpy's name of the type of what ``main`` of a Relax module computes.

    Raises:
        MeasurementError: It is not one tensor of fixed sizes ``[rows, k]``.
    """
    found = module["main"].ret_ty
    sizes = getattr(getattr(found, "shape", None), "values", None)
    if sizes is None or len(sizes) != 2 or not all(isinstance(size, int | tvm.tirx.IntImm) for size in sizes):
        raise unusable(f"{model.name} computes {found}; expected one tensor [batch, k].")
    return (int(sizes[0]), int(sizes[1])), str(found.dtype)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that says something, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _unknown(model: OnnxModel, operators: str) -> MeasurementError:
    return unusable(f"{model.name} has operators that TVM does not know: {operators}.", hint="Run it on ONNX Runtime.")


def _sizes(value: Any) -> tuple[tuple[int | None, ...], str]:
    """Return the sizes of a graph's input or output, ``None`` where they are open, and numpy's name of its type."""
    tensor = value.type.tensor_type
    sizes = tuple(int(size.dim_value) if size.HasField("dim_value") else None for size in tensor.shape.dim)
    return sizes, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "unknown"


__all__ = ["FAILURES", "OnnxModel", "first_line", "output_type", "read_model", "relax", "to_relax", "tvm"]
