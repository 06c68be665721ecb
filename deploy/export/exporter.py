"""The contract between the export and a library whose models it knows; one implementation for each library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...errors import ExportError
from ...registry import Registry
from ..runtimes.base import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    Array = np.ndarray[Any, Any]

Task = Literal["classification", "regression"]
OUTPUTS: dict[Task, str] = {"classification": "probabilities", "regression": "prediction"}

# What a third-party converter raises when it does not know a model or trips over it.
CONVERTER_FAILURES = (
    *(RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError, LookupError, AssertionError),
    *(ArithmeticError, ImportError),
)


class UnsupportedError(ExportError):
    """A model that is not written directly; a general converter may know it. It never leaves the export."""


@dataclass(frozen=True)
class Conversion:
    """A model in ONNX, not yet checked.

    Args:
        model: One input ``features`` ``[batch, ...]``, one output as in ``OUTPUTS``.
        method: What converted it: ``"direct"``, ``"skl2onnx"``, ``"onnxmltools"``, ``"torch.onnx"``.
    """

    model: ModelProto
    method: str


class Exporter(ABC):
    """Converts the models of one library.

    Attributes:
        name: The library's name.
        reads_tensors: Whether its models read rows of any shape, and whole numbers as such; else they read tables of
            float32 features.
    """

    name: ClassVar[str]
    reads_tensors: ClassVar[bool] = False

    @abstractmethod
    def convert(self, model: Any, *, example: Array, task: Task, batch: int | None = None) -> Conversion:
        """Convert a fitted model.

        Args:
            model: The model; it is not changed.
            example: Real rows, ``n x ...`` of the type that the model reads, ``n`` at least 2.
            task: What it predicts: probabilities of ``classes(model)``, or one number.
            batch: The only number of rows that the export is to take; ``None``: any.

        Raises:
            ExportError: The model, or a part of it that the message names, has no counterpart in ONNX.
        """

    @abstractmethod
    def predict(self, model: Any, rows: Array, *, task: Task) -> Array:
        """Return what the model itself predicts: probabilities ``n x k``, or ``n`` numbers.

        Raises:
            ExportError: The model cannot predict that.
        """

    def classes(self, model: Any) -> Array | None:
        """Return the labels of the columns of a classifier's probabilities; ``None`` if they are not known."""
        return getattr(model, "classes_", None)

    def ambiguous(self, model: Any, rows: Array) -> Array | None:
        """Return which rows have no single right prediction, bool ``n``; ``None`` if all have one."""
        del model, rows
        return None


EXPORTERS: Registry[type[Exporter]] = Registry(
    "exporter",
    {
        "sklearn": ".sklearn_models:SklearnExporter",
        "lightgbm": ".lightgbm_models:LightGBMExporter",
        "torch": ".torch_models:TorchExporter",
    },
    package=__package__,
)


def exporter_for(model: object) -> Exporter:
    """Return the exporter of a model's library: the first one among its class and its base classes.

    Raises:
        ExportError: No exporter knows the model's library; the message names its class.
    """
    for base in type(model).__mro__:
        library = base.__module__.partition(".")[0]
        if library in EXPORTERS:
            return EXPORTERS.get(library)()
    raise ExportError(
        f"A model of the class {describe(model)} cannot be exported to ONNX.",
        hint=f"Known libraries: {', '.join(EXPORTERS)}. Wrap the model in a torch module, or write export_onnx().",
    )


@contextmanager
def asking(model: object, rows: Array, *, hint: str | None = None) -> Iterator[None]:
    """Say which model it is that cannot predict.

    Args:
        model: The model.
        rows: What it is asked to predict, ``n x ...``.
        hint: What to do about it.

    Raises:
        ExportError: The model raises anything while it predicts: it is not fitted, or the rows are not what it reads.
    """
    try:
        yield
    except CONVERTER_FAILURES as e:
        said = " ".join(str(e).split())[:300]
        gap = _first_gap(rows)
        if gap is not None:
            said = f"row {gap} holds NaN or infinity: {said}"
            hint = "Give rows without missing values, or fill them in the model, such as by a SimpleImputer."
        raise ExportError(f"{describe(model)} cannot predict the example's rows: {said}", hint=hint) from e


def _first_gap(rows: Array) -> int | None:
    """Return the first row that holds NaN or infinity."""
    import numpy as np

    if rows.dtype.kind != "f":
        return None
    found = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    return int(found[0]) if len(found) else None


def rows_of(example: Array, batch: int | None) -> TensorSpec:
    """Return what the rows of an example are."""
    return TensorSpec(tuple(example.shape[1:]), str(example.dtype), batch)


def describe(model: object) -> str:
    """Return the full name of a model's class, as errors say it."""
    return f"{type(model).__module__}.{type(model).__qualname__}"
