"""The rows that a measurement predicts, fitted to what a model reads. It reads no files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from .runtimes import Session, TensorSpec
from .runtimes.base import unusable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PREDICTS_NAN = "The model predicts NaN or infinity"
_SINGLES = 256  # distinct rows that latency cycles through: trees take other branches for other rows


def fit_rows(rows: Array, spec: TensorSpec) -> Array:
    """Return rows as a model reads them, repeated until they fill a batch where it has a fixed size.

    Args:
        rows: Real rows, ``n x spec.shape`` with ``n`` at least 1.
        spec: What the model reads.

    Returns:
        C-contiguous, ``n x spec.shape`` of ``spec.dtype``.

    Raises:
        SpecError: They are not numbers, there are none, or they do not fit the model.
    """
    import numpy as np

    given = np.asarray(rows)
    if given.dtype.kind not in "buif" or given.ndim < 2 or len(given) == 0:
        raise SpecError(
            f"rows is {given.dtype} {list(given.shape)}; expected numbers, n x the shape of a row, with at least one row."
        )
    wanted = np.dtype(spec.dtype)
    if given.dtype.kind == "f" and wanted.kind in "iu" and not (np.isfinite(given) & (given == np.floor(given))).all():
        raise SpecError(f"rows is {given.dtype} and not all are whole numbers; the model reads {spec.dtype}.")
    fitting = np.ascontiguousarray(given, dtype=wanted)
    if spec.batch is not None and len(fitting) < spec.batch:
        fitting = fill_batch(fitting, spec.batch)
    misfit = spec.misfit(fitting if spec.batch is None else fitting[: spec.batch])
    if misfit is not None:
        raise SpecError(f"The rows do not fit the model: {misfit}.")
    return fitting


def random_rows(spec: TensorSpec, *, count: int = 64, seed: int = 0) -> Array:
    """Return rows that stand in for real ones: normal numbers, or whole ones from 0 to 9 where the model reads such.

    Args:
        spec: What the model reads; a size that it leaves open is taken as 16.
        count: How many rows.
        seed: The same gives the same rows.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    shape = (count, *(16 if size is None else size for size in spec.shape))
    wanted = np.dtype(spec.dtype)
    values = rng.normal(size=shape) if wanted.kind == "f" else rng.integers(0, 10, size=shape)
    return values.astype(wanted)


def fill_batch(rows: Array, count: int) -> Array:
    """Return ``count`` rows: these, over and over."""
    import numpy as np

    return np.ascontiguousarray(np.resize(rows, (count, *rows.shape[1:])))


def single_batches(rows: Array, spec: TensorSpec) -> list[Array]:
    """Return the smallest batches that the model takes, of one row unless its batch is fixed: 256 at most.

    Args:
        rows: What :func:`fit_rows` returned.
        spec: What the model reads.
    """
    size = spec.batch or 1
    count = min(len(rows) // size, _SINGLES)
    return [rows[at * size : (at + 1) * size] for at in range(count)]


def check_finite(session: Session, rows: Array) -> None:
    """Check that a model predicts finite numbers.

    Args:
        session: The model.
        rows: What :func:`fit_rows` returned.

    Raises:
        MeasurementError: It does not, or the rows themselves hold NaN or infinity and it passes that on; not retryable.
    """
    import numpy as np

    given = rows[: session.input.batch or 8]
    wrong = ~np.isfinite(session.run(given)).all(axis=1)
    if not wrong.any():
        return
    if not np.isfinite(given[wrong]).reshape(int(wrong.sum()), -1).all(axis=1).any():
        raise unusable(
            "The rows hold NaN or infinity, and so does what the model predicts from them.",
            hint="Give rows as the model reads them: gaps are filled before it.",
        )
    raise unusable(
        f"{PREDICTS_NAN} from rows of finite numbers.",
        hint="Training diverged, or the export is wrong: such a model is no candidate.",
    )
