"""Export a trained model: convert, check against the model itself on real rows, then write one file at once."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, SpecError
from .agreement import TOLERANCE, Agreement, check_agreement
from .exporter import OUTPUTS, Conversion, Exporter, Task, describe, exporter_for

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CHECKED_ROWS = 512


@dataclass(frozen=True)
class OnnxModel:
    """An exported model that agrees with its source.

    Args:
        path: The file; the weights are in it.
        task: ``"classification"`` (output ``probabilities`` ``[batch, columns]``) or ``"regression"`` (output
            ``prediction`` ``[batch, 1]``).
        width: Number of features; the input is ``features``, float32 ``[batch, width]``.
        columns: Number of columns of the output.
        bytes: Size of the file.
        method: What converted it: ``"direct"``, ``"skl2onnx"``, ``"onnxmltools"`` or ``"torch.onnx"``.
        agreement: How well it agrees with the model.
    """

    path: Path
    task: Task
    width: int
    columns: int
    bytes: int
    method: str
    agreement: Agreement


def export_onnx(
    model: object,
    example: Array,
    path: str | Path,
    *,
    task: Task,
    classes: int | None = None,
    expected: Array | None = None,
    tolerance: float = TOLERANCE,
) -> OnnxModel:
    """Export a model to one ONNX file with a batch of any size.

    Args:
        model: A fitted scikit-learn estimator or pipeline, LightGBM model, or torch module; it is not changed.
        example: Real rows, ``n x d`` with ``n`` at least 2; at most 512 of them are compared.
        path: The file to write. Nothing is left there unless the whole file is.
        task: What the model predicts.
        classes: Number of classes; needed where training did not see all of them. ``None``: those that it saw.
        expected: What the model predicts for ``example`` if the caller knows: probabilities ``n x k``, or ``n`` values.
        tolerance: Largest difference: absolute for probabilities, relative for predictions.

    Raises:
        SpecError: ``example`` is no table of at least two rows, or ``task`` is unknown.
        ExportError: The model, or a part of it that the message names, cannot be exported; the export disagrees with
            the model; or the file cannot be written.
        MissingDependencyError: The converter for this model is not installed.
    """
    example = _as_example(example, task)
    exporter = exporter_for(model)
    rows = example[:_CHECKED_ROWS]
    present = _present_classes(exporter, model, task, classes=classes)
    reference = exporter.predict(model, rows, task=task) if expected is None else expected[: len(rows)]
    conversion = exporter.convert(model, example=example, task=task)
    if present is not None:
        conversion, reference = _spread(conversion, reference, present, classes=classes)
    if task == "classification":
        _check_probabilities(reference, model)
    content = _serialize(conversion, model)
    agreement = check_agreement(
        content,
        rows,
        reference,
        task=task,
        tolerance=tolerance,
        ambiguous=exporter.ambiguous(model, rows),
    )
    write_atomically(Path(path), content)
    columns = conversion.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return OnnxModel(
        path=Path(path),
        task=task,
        width=example.shape[1],
        columns=columns,
        bytes=len(content),
        method=conversion.method,
        agreement=agreement,
    )


def _as_example(example: Array, task: str) -> Array:
    """Return the rows as a C-contiguous float32 table."""
    import numpy as np

    if task not in OUTPUTS:
        raise SpecError(f"task = {task!r}: expected {' or '.join(repr(known) for known in OUTPUTS)}.")
    rows = np.ascontiguousarray(example, dtype=np.float32)
    if rows.ndim != 2 or len(rows) < 2:
        raise SpecError(
            f"example has the shape {list(rows.shape)}; expected n x d with at least 2 rows.",
            hint="With one row an exporter can fix the batch size to one without a word.",
        )
    return rows


def _present_classes(exporter: Exporter, model: object, task: str, *, classes: int | None) -> Array | None:
    """Return the class index of each column if they are not simply all, in order; ``None`` if they are."""
    import numpy as np

    labels = exporter.classes(model) if task == "classification" else None
    if labels is None or np.asarray(labels).dtype.kind not in "iu":
        return None
    labels = np.asarray(labels)
    if np.array_equal(labels, np.arange(classes or len(labels))):
        return None
    if classes is None or labels.min() < 0 or labels.max() >= classes:
        raise ExportError(
            f"{describe(model)} knows the classes {labels.tolist()}; expected indices below {classes}.",
            hint="Train on class indices 0 ... k-1, and give their number (classes=k) where training may miss some.",
        )
    return labels


def _spread(
    conversion: Conversion, reference: Array, present: Array, *, classes: int | None
) -> tuple[Conversion, Array]:
    """Give the columns of the classes that training saw their places among all classes."""
    import numpy as np

    from .graph import spread_columns

    assert classes is not None  # noqa: S101  # _present_classes returns indices only with a number of classes
    model = spread_columns(conversion.model, present, columns=classes)
    if reference.shape[1] == len(present) < classes:
        full = np.zeros((len(reference), classes))
        full[:, present] = reference
        reference = full
    return Conversion(model, conversion.method), reference


def _check_probabilities(reference: Array, model: object) -> None:
    """Check that what a classifier predicts are probabilities: a module's raw scores would pass for them."""
    import numpy as np

    if reference.ndim != 2 or reference.shape[1] < 2:
        raise ExportError(
            f"{describe(model)} predicts the shape {list(reference.shape)}; expected a probability for each class."
        )
    sums = reference.sum(axis=1)
    if np.isfinite(reference).all() and (reference.min() < -1e-6 or np.abs(sums - 1.0).max() > 1e-3):
        raise ExportError(
            f"{describe(model)} does not predict probabilities: a row sums to {sums[0]:.4g}.",
            hint="End a torch module with torch.nn.Softmax(dim=1); an objective of one class against all has none.",
        )


def _serialize(conversion: Conversion, model: object) -> bytes:
    """Return the file's content.

    Raises:
        ExportError: It is larger than the 2 GiB that one ONNX file can have.
    """
    try:
        content: bytes = conversion.model.SerializeToString()
    except (ValueError, MemoryError) as e:
        raise ExportError(
            f"{describe(model)} does not fit into one ONNX file (2 GiB).", hint="Train a smaller model."
        ) from e
    return content


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there in full or not at all.

    Raises:
        ExportError: The disk is full, or the folder is missing or read-only; what was there before is left alone.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)  # noqa: PTH105  # Path.replace is the same call
    except OSError as e:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ExportError(
            f"The model cannot be written to {path}: {e.strerror or e}.",
            hint=f"It takes {len(content) / 2**20:.1f} MiB; free some space, or choose another folder.",
        ) from e
