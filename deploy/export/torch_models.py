"""torch to ONNX: modules of known layers directly from their traced graph, everything else by torch.onnx (dynamo).

The dynamo exporter takes 0.7 to 5 s, and a search exports hundreds of small networks; writing a traced network of known
layers takes milliseconds. What cannot be traced (a branch on data, a layer that is not known here) goes to dynamo.
"""

from __future__ import annotations

import inspect
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import ModelProto, numpy_helper

from ...errors import ExportError
from .exporter import OUTPUTS, Conversion, Exporter, Task, UnsupportedError, asking, describe, rows_of
from .graph import INPUT, keep_only
from .torch_graph import restored, write_module

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


class TorchExporter(Exporter):
    """Exports ``torch.nn.Module`` that map ``n x ...`` to probabilities ``n x k`` or to ``n`` or ``n x 1`` numbers."""

    name = "torch"
    reads_tensors = True

    def convert(self, model: torch.nn.Module, *, example: Array, task: Task, batch: int | None = None) -> Conversion:
        """Convert a module as it predicts (``eval``)."""
        predicted = self.predict(model, example[:2], task=task)
        columns = predicted.shape[1] if predicted.ndim == 2 else 1
        with _evaluating(model), restored(model):
            try:
                proto = write_module(model, rows=rows_of(example, batch), output=OUTPUTS[task], columns=columns)
                return Conversion(proto, "direct")
            except UnsupportedError as e:
                return _by_dynamo(model, example=example, task=task, columns=columns, batch=batch, reason=e)

    def predict(self, model: torch.nn.Module, rows: Array, *, task: Task) -> Array:
        """Return what the module maps the rows to, on the device that it is on."""
        del task
        if isinstance(model, torch.jit.ScriptModule):
            raise ExportError(
                "A TorchScript module (torch.jit) cannot be exported.", hint="Export the module that it was made of."
            )
        parameter = next(model.parameters(), None)
        batch = torch.from_numpy(np.require(rows, requirements=("C", "W")))
        with _evaluating(model), restored(model), torch.inference_mode(), asking(model, rows, hint=_hint(model, rows)):
            result = model(batch if parameter is None else batch.to(parameter.device))
        if not isinstance(result, torch.Tensor):
            raise ExportError(
                f"{describe(model)} returns {type(result).__name__}; expected one tensor.",
                hint="Wrap it in a module whose forward() returns the one that is to be exported.",
            )
        if result.ndim == 0 or len(result) != len(rows):
            raise ExportError(
                f"{describe(model)} maps {len(rows)} rows to the shape {list(result.shape)}; expected a row for each."
            )
        return result.detach().cpu().numpy().astype(np.float64)


def _hint(model: torch.nn.Module, rows: Array) -> str:
    """Return what is likely wrong where a module does not take the rows."""
    kinds = {str(p.dtype).removeprefix("torch.") for p in model.parameters() if p.is_floating_point()}
    if kinds - {"float32"}:
        return f"Its weights are {', '.join(sorted(kinds))} and the rows {rows.dtype}: export model.float()."
    try:
        needed = [
            each.name
            for each in inspect.signature(model.forward).parameters.values()
            if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        needed = []
    if len(needed) > 1:
        return f"Its forward() takes {', '.join(needed)}: wrap it in a module that takes one tensor."
    if rows.dtype.kind in "iu":
        shown = f"The rows hold {rows.min()} to {rows.max()}" if rows.size else "The rows are whole numbers"
        return f"{shown}, n x {list(rows.shape[1:])}: are they below the size of the embedding's table?"
    return f"The rows are {rows.dtype}, n x {list(rows.shape[1:])}: give rows as the module was trained on."


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch dropout and batch statistics off for a while."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _by_dynamo(
    model: torch.nn.Module,
    *,
    example: Array,
    task: Task,
    columns: int,
    reason: UnsupportedError,
    batch: int | None = None,
) -> Conversion:
    """Convert with torch's own exporter.

    For a batch of any size the example has at least two rows: with one, the exporter would fix the batch to one without
    a word.
    """
    parameter = next(model.parameters(), None)
    rows = np.ascontiguousarray(np.resize(example, (batch or max(2, min(len(example), 4)), *example.shape[1:])))
    given = torch.from_numpy(rows)
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (given if parameter is None else given.to(parameter.device),),
                dynamo=True,
                external_data=False,
                input_names=[INPUT],
                output_names=["result"],
                dynamic_shapes=({0: torch.export.Dim("batch")},) if batch is None else None,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as e:
        raise ExportError(
            f"torch.onnx cannot export {describe(model)}{_place(e)}: {_cause(e)}",
            hint=f"It was not written directly because of {reason.message}.",
        ) from e
    assert program is not None  # noqa: S101  # what dynamo=True returns
    proto = program.model_proto
    result = _as_columns(proto) if columns == 1 else proto.graph.output[0].name
    return Conversion(
        keep_only(proto, result, name=OUTPUTS[task], columns=columns, rows=rows_of(example, batch)), "torch.onnx"
    )


def _as_columns(model: ModelProto) -> str:
    """Return the name of a model's output as ``[batch, 1]``."""
    output = model.graph.output[0]
    if len(output.type.tensor_type.shape.dim) == 2:
        return str(output.name)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "one_column"))
    model.graph.node.add(op_type="Reshape", name="column", input=[output.name, "one_column"], output=["column"])
    model.graph.output[0].name = "column"
    return "column"


def _cause(error: BaseException) -> str:
    """Return the first line of what is at the bottom of the exporter's chain of errors: it names the operator."""
    error = list(_chain(error))[-1]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0][:500] if lines else type(error).__name__
    if "data-dependent" in said:
        return f"aten.item: a decision or a size that depends on the values of a tensor ({said.split('.  (')[0]})"
    return said


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, the first cause last."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _place(error: BaseException) -> str:
    """Return where in the model an export failed: the layer and the line of its author's code, as far as known."""
    layer = line = ""
    for link in reversed(list(_chain(error))):
        for frame, number in traceback.walk_tb(link.__traceback__):
            code = frame.f_code
            if _is_foreign(code.co_filename) or code.co_filename == __file__:
                part = frame.f_locals.get("self") if code.co_name == "forward" else None
                layer = describe(part) if isinstance(part, torch.nn.Module) and line else layer
            elif code.co_name == "forward":
                line = f"{Path(code.co_filename).name}, line {number}"
        if line:
            break
    return "".join((f", in the layer {layer}" if layer else "", f" ({line})" if line else ""))


def _is_foreign(filename: str) -> bool:
    """Whether a file belongs to torch, and not to the author of a model."""
    return Path(filename).is_relative_to(Path(torch.__file__).parent)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes on packages that are not needed here, and its listings of what it cannot export."""
    names = ("torch.onnx._internal.exporter._registration", "torch.fx.experimental.symbolic_shapes", "torch.export")
    loggers = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
