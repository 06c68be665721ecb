"""Whether an exported model predicts what its source predicts, on real rows.

Tolerances: probabilities may differ by 1e-4 and predictions by 1e-4 relative; what the exporters reach is about 1e-6,
the rest is left to float32 sums of large ensembles and to converters that round a threshold to the other side. Labels
may differ only where the source's two highest probabilities are within twice the tolerance, that is, tied.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, MeasurementError, SpecError
from ..devices import DEVICES, Device
from ..runtimes import RUNTIMES, Runtime, RuntimeOptions, Session

if TYPE_CHECKING:
    import numpy as np

    from .exporter import Task

    Array = np.ndarray[Any, Any]

TOLERANCE = 1e-4
_BATCH = 64


@dataclass(frozen=True)
class Agreement:
    """How well an exported model agrees with its source.

    Args:
        rows: How many rows were compared.
        skipped: How many were not, because they have no single right prediction (ties among neighbours).
        max_abs: Largest absolute difference.
        mean_abs: Mean absolute difference.
        max_relative: Largest difference relative to the prediction, or to the standard deviation of its column where
            that is larger; ``None`` for probabilities.
        label_agreement: Share of rows with the same label, in [0, 1]; ``None`` for regression.
        tolerance: What was allowed.
        ok: Whether it is within that.
    """

    rows: int
    skipped: int
    max_abs: float
    mean_abs: float
    max_relative: float | None
    label_agreement: float | None
    tolerance: float
    ok: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the agreement as a JSON object."""
        return asdict(self)


def check_agreement(
    model: str | Path | bytes,
    X: Array,
    expected: Array,
    *,
    task: Task,
    tolerance: float = TOLERANCE,
    ambiguous: Array | None = None,
    limit_s: float = 1.0,
    batch: int | None = None,
    runtime: str | Runtime = "onnxruntime",
    device: Device = DEVICES["local"],
    options: RuntimeOptions | None = None,
) -> Agreement:
    """Run an exported model on real rows and compare.

    Args:
        model: The ONNX file, or its content.
        X: ``n x ...``, real rows as the model reads them; numbers with a fraction become float32.
        expected: What the source predicts: probabilities ``n x k``, or ``n`` or ``n x 1`` numbers.
        task: Which of the two.
        tolerance: Largest difference: absolute for probabilities, relative for numbers.
        ambiguous: Bool ``n``: rows to leave out.
        limit_s: After this time no further rows are run; at least 64 are.
        batch: The only number of rows that the model is to take; ``None``: any.
        runtime: What runs it, or its name: an export can be right and a runtime's reading of it wrong.
        device: Where it runs.
        options: How it runs.

    Raises:
        SpecError: ``expected`` has not one prediction for each row.
        ExportError: The model cannot be run, takes other batches than ``batch`` says, or differs by more than the
            tolerance; the message says by how much and in which row.
        MissingDependencyError: The runtime is not installed.
    """
    import numpy as np

    expected = np.asarray(expected, dtype=np.float64)
    if expected.ndim == 0 or len(expected) != len(X):
        raise SpecError(
            f"expected has the shape {list(expected.shape)} for {len(X)} rows; expected one prediction for each row."
        )
    expected = expected.reshape(len(X), -1)
    engine = RUNTIMES.get(runtime)() if isinstance(runtime, str) else runtime
    try:
        with engine.prepare(model, device=device, options=options or RuntimeOptions()) as session:
            if session.input.batch != batch:
                raise ExportError(
                    f"The exported model does not run as it should: its batch is {session.input.batch or 'free'}, "
                    f"expected {batch or 'any size'}."
                )
            rows = as_rows(X, session.input.dtype)
            got = _run(session, rows, columns=expected.shape[1], limit_s=limit_s)
    except MeasurementError as e:
        raise ExportError(f"The exported model does not run on {engine.name}: {e.message}", hint=e.hint) from e
    expected = expected[: len(got)]
    keep = np.ones(len(got), dtype=bool) if ambiguous is None else ~ambiguous[: len(got)]
    compare = _compare_probabilities if task == "classification" else _compare_numbers
    agreement, worst = compare(got[keep], expected[keep], skipped=int(len(got) - keep.sum()), tolerance=tolerance)
    if not agreement.ok:
        row = int(np.flatnonzero(keep)[worst])
        if not np.isfinite(expected[row]).all():
            raise ExportError(f"The source itself predicts NaN or infinity in row {row}: nothing can be compared.")
        if np.asarray(X).dtype.kind == "f" and not np.isfinite(X[row]).all():
            raise ExportError(
                f"Row {row} holds NaN or infinity: there the exported model predicts {_shown(got[row])}, expected "
                f"{_shown(expected[row])}.",
                hint="Give rows without missing values, or fill them in the model before it is exported.",
            )
        raise ExportError(
            f"The exported model disagrees with its source: in row {row} it predicts {_shown(got[row])}, expected "
            f"{_shown(expected[row])}; largest difference {agreement.max_abs:.3g}, tolerance {tolerance:g}.",
            hint="The converter does not carry over all that the model does, or the rows need more digits than float32 has "
            "(whole numbers above 16,777,216); such an export must not be shipped.",
        )
    return agreement


def as_rows(X: Array, dtype: str) -> Array:
    """Return rows as a model reads them, C-contiguous.

    Raises:
        ExportError: It reads whole numbers and the rows are others.
    """
    import numpy as np

    rows = np.ascontiguousarray(X, dtype=dtype)
    if rows.dtype.kind in "iu" and X.dtype.kind not in "iub":
        raise ExportError(f"The exported model reads {dtype}, the rows are {X.dtype}.")
    return rows


def predictions(session: Session, rows: Array, *, limit_s: float = math.inf) -> Array:
    """Run rows in batches, as large as the model takes, until all are done or the time is up.

    Args:
        session: The model.
        rows: ``n x ...`` of the session's type; with a fixed batch, the last one is filled up with its first rows.
        limit_s: After this time no further batch is begun.

    Returns:
        Float32 ``m x k``, ``m`` at most ``n``.

    Raises:
        ExportError: The model does not return one row for each.
        MeasurementError: The runtime fails.
    """
    import numpy as np

    size = session.input.batch or _BATCH
    end = time.monotonic() + limit_s
    parts: list[Array] = []
    for start in range(0, len(rows), size):
        if start >= _BATCH and time.monotonic() > end:
            break
        part = rows[start : start + size]
        whole = part if session.input.batch is None else np.resize(part, (size, *rows.shape[1:]))
        got = session.run(np.ascontiguousarray(whole))
        if got.ndim != 2 or len(got) != len(whole):
            raise ExportError(f"The exported model maps {len(whole)} rows to the shape {list(got.shape)}.")
        parts.append(got[: len(part)])
    return np.concatenate(parts)


def _run(session: Session, rows: Array, *, columns: int, limit_s: float) -> Array:
    """Run rows until all are done or the time is up, and one row alone: every size must work and agree."""
    import numpy as np

    got = predictions(session, rows, limit_s=limit_s)
    if got.shape[1] != columns:
        count = min(len(got), _BATCH)
        raise ExportError(
            f"The exported model maps {count} rows to the shape {[count, got.shape[1]]}; expected [{count}, {columns}]."
        )
    if session.input.batch is None:
        alone, first = session.run(rows[:1]), got[:1]
        if alone.shape != first.shape or not np.allclose(alone, first, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ExportError(
                f"The exported model predicts a row alone as {_shown(alone.ravel())} and in a batch as "
                f"{_shown(first[0])}.",
                hint="The batch size was fixed, or rows are mixed, while exporting.",
            )
    return got.astype(np.float64)


def _compare_probabilities(got: Array, expected: Array, *, skipped: int, tolerance: float) -> tuple[Agreement, int]:
    """Compare probabilities ``n x k``; return the agreement and the worst row."""
    import numpy as np

    errors = _errors(got, expected)
    is_same = got.argmax(axis=1) == expected.argmax(axis=1)
    top = np.sort(expected, axis=1)[:, -2:]
    is_tied = top[:, -1] - top[:, 0] <= 2 * tolerance
    ok = bool(np.all(errors <= tolerance) and np.all(is_same | is_tied))
    worst = int(np.argmax(np.where(is_same | is_tied, errors, np.inf))) if len(errors) else 0
    return _agreement(
        errors, skipped, tolerance, ok=ok, label_agreement=float(is_same.mean()) if len(is_same) else 1.0
    ), worst


def _compare_numbers(got: Array, expected: Array, *, skipped: int, tolerance: float) -> tuple[Agreement, int]:
    """Compare predictions ``n x k``, each column by its own size and spread; return the agreement and the worst row."""
    import numpy as np

    errors = _errors(got, expected)
    relative = np.zeros(len(expected))
    if len(expected):
        spread = expected.std(axis=0)
        spread = np.where(
            spread > 0.0, spread, np.where(expected.any(axis=0), 0.0, expected.std())
        )  # all zero: no size
        scale = np.maximum(np.abs(expected), spread)
        each = np.abs(got - expected) / np.maximum(scale, np.finfo(np.float32).tiny)
        relative = np.where(np.isfinite(errors), each.max(axis=1, initial=0.0), np.inf)
    ok = bool(np.all(relative <= tolerance))
    worst = int(np.argmax(relative)) if len(relative) else 0
    return _agreement(errors, skipped, tolerance, ok=ok, max_relative=float(relative.max(initial=0.0))), worst


def _errors(got: Array, expected: Array) -> Array:
    """Return the largest absolute difference of each row; infinite where one side is not finite."""
    import numpy as np

    errors = np.abs(got - expected).max(axis=1, initial=0.0)
    return np.where(np.isfinite(errors), errors, np.inf)


def _agreement(
    errors: Array,
    skipped: int,
    tolerance: float,
    *,
    ok: bool,
    max_relative: float | None = None,
    label_agreement: float | None = None,
) -> Agreement:
    return Agreement(
        rows=len(errors),
        skipped=skipped,
        max_abs=float(errors.max(initial=0.0)),
        mean_abs=float(errors.mean()) if len(errors) else 0.0,
        max_relative=max_relative,
        label_agreement=label_agreement,
        tolerance=tolerance,
        ok=ok,
    )


def _shown(values: Array) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:6])
    return f"[{shown}{', ...' if len(values) > 6 else ''}]"
