"""torch to ONNX: modules of known layers directly from their traced graph, everything else by torch.onnx (dynamo).

The dynamo exporter takes 0.7 to 5 s, and a search exports hundreds of small networks; writing a traced network of known
layers takes milliseconds. What cannot be traced (a branch on data, a layer that is not known here) goes to dynamo.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import ExportError
from .exporter import OUTPUTS, Conversion, Exporter, Task, UnsupportedError, describe
from .graph import INPUT, keep_only
from .torch_graph import write_module

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


class TorchExporter(Exporter):
    """Exports ``torch.nn.Module`` that map ``n x d`` to probabilities ``n x k`` or predictions ``n x 1``."""

    name = "torch"

    def convert(self, model: torch.nn.Module, *, example: Array, task: Task) -> Conversion:
        """Convert a module as it predicts (``eval``)."""
        columns = _columns(self.predict(model, example[:2], task=task))
        with _evaluating(model):
            try:
                proto = write_module(model, width=example.shape[1], output=OUTPUTS[task], columns=columns)
                return Conversion(proto, "direct")
            except UnsupportedError as e:
                return _by_dynamo(model, example=example, task=task, columns=columns, reason=e)

    def predict(self, model: torch.nn.Module, rows: Array, *, task: Task) -> Array:
        """Return what the module maps the rows to, on the device that it is on."""
        del task
        parameter = next(model.parameters(), None)
        batch = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
        with _evaluating(model), torch.inference_mode():
            result = model(batch if parameter is None else batch.to(parameter.device))
        if not isinstance(result, torch.Tensor):
            raise ExportError(f"{describe(model)} returns {type(result).__name__}; expected one tensor.")
        return result.detach().cpu().numpy().astype(np.float64)


def _columns(predicted: Array) -> int:
    return predicted.shape[1] if predicted.ndim == 2 else 1


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
    model: torch.nn.Module, *, example: Array, task: Task, columns: int, reason: UnsupportedError
) -> Conversion:
    """Convert with torch's own exporter.

    The example has at least two rows: with one, the exporter would fix the batch to one without a word.
    """
    parameter = next(model.parameters(), None)
    batch = torch.from_numpy(np.ascontiguousarray(example[: max(2, min(len(example), 4))], dtype=np.float32))
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (batch if parameter is None else batch.to(parameter.device),),
                dynamo=True,
                external_data=False,
                input_names=[INPUT],
                output_names=[OUTPUTS[task]],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as e:
        raise ExportError(
            f"torch.onnx cannot export {describe(model)}: {_cause(e)}",
            hint=f"It was not written directly because of {reason.message}.",
        ) from e
    assert program is not None  # noqa: S101  # what dynamo=True returns
    proto = program.model_proto
    return Conversion(
        keep_only(proto, proto.graph.output[0].name, name=OUTPUTS[task], columns=columns, width=example.shape[1]),
        "torch.onnx",
    )


def _cause(error: BaseException) -> str:
    """Return the first line of what is at the bottom of the exporter's chain of errors: it names the operator."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes on packages that are not needed here."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
