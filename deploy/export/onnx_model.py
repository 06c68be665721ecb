"""Export a trained model: convert, check against the model itself on real rows, then write one file at once."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, SpecError
from ..runtimes.base import TensorSpec
from .agreement import TOLERANCE, Agreement, check_agreement
from .exporter import OUTPUTS, Conversion, Exporter, Task, describe, exporter_for, rows_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CHECKED_ROWS = 512
_LARGE_BATCH = 257
_OTHER_BATCH = 1e-3  # by how much a source may differ between batch sizes, whose sums round otherwise
_MOST_NUMBERS = 4_000_000  # of the larger batch: 16 MB of float32
_INTEGERS = ("int64", "int32", "uint8")


@dataclass(frozen=True)
class OnnxModel:
    """An exported model that agrees with its source.

    Args:
        path: The file; the weights are in it.
        task: ``"classification"`` (output ``probabilities`` ``[batch, columns]``) or ``"regression"`` (output
            ``prediction`` ``[batch, 1]``).
        input: What its rows are; the input is ``features`` ``[batch, *input.shape]``.
        columns: Number of columns of the output.
        bytes: Size of the file.
        method: What converted it: ``"direct"``, ``"skl2onnx"``, ``"onnxmltools"`` or ``"torch.onnx"``.
        agreement: How well it agrees with the model.
    """

    path: Path
    task: Task
    input: TensorSpec
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
    batch: int | None = None,
    simplify: bool = False,
) -> OnnxModel:
    """Export a model to one ONNX file.

    Args:
        model: A fitted scikit-learn estimator or pipeline, LightGBM model, or torch module; it is not changed.
        example: Real rows, ``n x ...`` with ``n`` at least 2: tables ``n x d``, images ``n x c x h x w``, sequences
            ``n x t x f``, tokens ``n x t``. Whole numbers keep their type where a torch module reads them, everything
            else becomes float32 for the export; a classical model is asked with the rows as they are given, so that
            what float32 cannot hold is found. At most 512 rows are compared.
        path: The file to write. Nothing is left there unless the whole file is.
        task: What the model predicts.
        classes: Number of classes; needed where training did not see all of them. ``None``: those that it saw.
        expected: What the model predicts for ``example`` if the caller knows: probabilities ``n x k``, or ``n`` values.
        tolerance: Largest difference: absolute for probabilities, relative for predictions.
        batch: The only number of rows that the exported model takes, as edge compilers want it; ``None``: any.
        simplify: Whether to simplify what a general converter made (see :mod:`.simplification`).

    Raises:
        SpecError: ``example`` has not two rows of numbers, or ``task`` or ``batch`` is unknown.
        ExportError: The model, or a part of it that the message names, cannot be exported; the export disagrees with
            the model; or the file cannot be written.
        MissingDependencyError: The converter for this model is not installed.
    """
    if batch is not None and batch < 1:
        raise SpecError(f"batch = {batch}: expected at least 1, or None for any.")
    if task not in OUTPUTS:
        raise SpecError(f"task = {task!r}: expected {' or '.join(repr(known) for known in OUTPUTS)}.")
    exporter = exporter_for(model)
    example, given = _as_example(example, exporter)
    rows, given = example[:_CHECKED_ROWS], given[:_CHECKED_ROWS]
    present = _present_classes(exporter, model, task, classes=classes)
    known = None if expected is None else _as_expected(expected, example)[: len(rows)]
    reference = exporter.predict(model, given, task=task) if known is None else known
    _check_finite(reference, given, model, is_given=expected is not None)
    conversion = exporter.convert(model, example=example, task=task, batch=batch)
    if exporter.reads_tensors and batch is None and expected is None:
        _check_large_batch(exporter, model, given, reference, task=task)
    if present is not None:
        conversion, reference = _spread(conversion, reference, present, classes=classes)
    if task == "classification":
        _check_probabilities(reference, model)
    if simplify and conversion.method != "direct":
        from .simplification import simplified

        conversion = Conversion(simplified(conversion.model), conversion.method)
    content = _serialize(conversion, model)
    agreement = check_agreement(
        content,
        rows,
        reference,
        task=task,
        tolerance=tolerance,
        ambiguous=exporter.ambiguous(model, rows),
        batch=batch,
    )
    write_atomically(Path(path), content)
    columns = conversion.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return OnnxModel(
        path=Path(path),
        task=task,
        input=rows_of(example, batch),
        columns=columns,
        bytes=len(content),
        method=conversion.method,
        agreement=agreement,
    )


def _as_example(example: Array, exporter: Exporter) -> tuple[Array, Array]:
    """Return the rows as the export reads them and as the model is asked, both C-contiguous.

    The export reads whole numbers as they are where models read them, everything else as float32; so does a torch
    module. A classical model is asked with the numbers as they are.
    """
    import numpy as np

    example = np.asarray(example)
    is_kept = exporter.reads_tensors and str(example.dtype) in _INTEGERS
    try:
        rows = np.ascontiguousarray(example, dtype=example.dtype if is_kept else np.float32)
    except (TypeError, ValueError) as e:
        raise SpecError(
            f"example has values that are no numbers: {' '.join(str(e).split())[:200]}.",
            hint="Encode texts and categories first, and fit the model on the numbers.",
        ) from e
    fits = rows.ndim >= 2 if exporter.reads_tensors else rows.ndim == 2
    if not fits or len(rows) < 2:
        raise SpecError(
            f"example has the shape {list(rows.shape)}; expected n x {'...' if exporter.reads_tensors else 'd'} "
            "with at least 2 rows.",
            hint="With one row an exporter can fix the batch size to one without a word.",
        )
    is_asked_so = exporter.reads_tensors or example.dtype.kind not in "fiu"
    return rows, rows if is_asked_so else np.ascontiguousarray(example)


def _as_expected(expected: Array, example: Array) -> Array:
    """Return the caller's predictions, one for each row of the example."""
    import numpy as np

    expected = np.asarray(expected)
    if expected.ndim == 0 or len(expected) != len(example):
        raise SpecError(
            f"expected has the shape {list(expected.shape)} for {len(example)} rows; expected one prediction for each."
        )
    return expected


def _check_finite(reference: Array, given: Array, model: object, *, is_given: bool) -> None:
    """Refuse predictions that are not finite: nothing can be compared with them."""
    import numpy as np

    wrong = ~np.isfinite(np.asarray(reference, dtype=np.float64)).reshape(len(reference), -1).all(axis=1)
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    has_gap = not np.isfinite(given[row]).all()
    raise ExportError(
        f"{'expected holds' if is_given else f'{describe(model)} predicts'} NaN or infinity in row {row} of the example"
        f"{', which itself holds NaN or infinity' if has_gap else ''}.",
        hint="Give rows without missing values, or fill them in the model."
        if has_gap
        else "Training diverged: such a model is not worth exporting.",
    )


def _check_large_batch(exporter: Exporter, model: object, rows: Array, reference: Array, *, task: Task) -> None:
    """Check that the model predicts the same in a batch larger than the example: it may branch on the batch's size."""
    import numpy as np

    size = max(_LARGE_BATCH, len(rows) + 1)
    if size * rows[0].size > _MOST_NUMBERS:
        return
    at = np.arange(size) % len(rows)
    got = exporter.predict(model, rows[at], task=task)
    want = np.asarray(reference)[at]
    sizes = np.abs(want).max(axis=0, initial=0.0)  # of each column
    if got.shape == want.shape and np.all(np.abs(got - want) <= _OTHER_BATCH * sizes):
        return
    raise ExportError(
        f"{describe(model)} predicts a row otherwise in a batch of {size} rows than in one of {len(rows)}.",
        hint="Take the decision on the batch's size (x.shape[0]) out of forward(), or fix the batch (batch=...).",
    )


def _present_classes(exporter: Exporter, model: object, task: str, *, classes: int | None) -> Array | None:
    """Return the class index of each column if they are not simply all, in order; ``None`` if they are."""
    import numpy as np

    labels: Any = exporter.classes(model) if task == "classification" else None
    if isinstance(labels, list) and any(np.ndim(each) for each in labels):
        raise ExportError(
            f"{describe(model)} predicts {len(labels)} targets; an export has one.",
            hint="Export one model for each target, such as each of model.estimators_ of a MultiOutputClassifier.",
        )
    if labels is None or np.asarray(labels).dtype.kind not in "iu":
        return None
    indices: Array = np.asarray(labels)
    if np.array_equal(indices, np.arange(classes or len(indices))):
        return None
    if classes is None or indices.min() < 0 or indices.max() >= classes:
        raise ExportError(
            f"{describe(model)} knows the classes {indices.tolist()}; expected indices 0 to "
            f"{len(indices) - 1 if classes is None else classes - 1}.",
            hint="Train on class indices 0 ... k-1, and give their number (classes=k) where training may miss some.",
        )
    return indices


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
            f"{describe(model)} predicts the shape {list(reference.shape)}; expected a probability for each class.",
            hint="A single output of a sigmoid p becomes two columns with torch.cat([1 - p, p], dim=1); or export it with "
            "task='regression'.",
        )
    sums = reference.sum(axis=1)
    if np.isfinite(reference).all() and (reference.min() < -1e-6 or np.abs(sums - 1.0).max() > 1e-3):
        raise ExportError(
            f"{describe(model)} does not predict probabilities: a row sums to {sums[0]:.4g}.",
            hint="End a torch module with torch.nn.Softmax(dim=1); train LightGBM with multiclass, not multiclassova.",
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
        raise unwritable(path, e, size=len(content)) from e


def unwritable(path: Path, error: OSError, *, size: int | None = None) -> ExportError:
    """Return what to raise where a file cannot be written.

    Args:
        path: The file, or the folder that it is to be in.
        error: Why not.
        size: How many bytes it takes, where that is known.
    """
    takes = "" if size is None else f"It takes {size / 2**20:.1f} MiB; "
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "free some space, or choose another folder."
    elif isinstance(error, FileNotFoundError):
        takes, hint = "", "Make the folder first, or choose another one."
    else:
        takes, hint = "", "Choose a folder that may be written to."
    hint = takes + hint if takes else hint[0].upper() + hint[1:]
    return ExportError(f"The model cannot be written to {path}: {error.strerror or error}.", hint=hint)
