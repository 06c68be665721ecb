"""What is made deployable, and the rows that judge it: a registered model's asset, or a bare ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, ExportError, MeasurementError, SpecError
from ..devices import DEVICES
from ..runtimes import RUNTIMES, RuntimeOptions, TensorSpec
from .agreement import as_rows, predictions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MOST_ROWS = 4096
_CALIBRATION_ROWS = 256
_RANDOM_ROWS = 256
_SEVERAL = (
    "A model has one input and one output here: cut the others off with onnx.utils.extract_model, or wrap the original in "
    "a module of one tensor and export that."
)


@dataclass(frozen=True)
class ExportSource:
    """A model in ONNX and rows that it can be judged by.

    Args:
        name: What it is called: ``family/version``, or the file's name.
        path: The ONNX file.
        rows: ``n x ...`` as the model reads them.
        labels: Class indices ``n`` or values ``n``; ``None``: not known.
        origin: Where the rows come from, as a report says it.
        calibration: Other rows, of the training data, for ranges of activations; ``None``: there are none.
        is_real: Whether the rows are data, and not random numbers.
    """

    name: str
    path: Path
    rows: Array
    labels: Array | None
    origin: str
    calibration: Array | None = None
    is_real: bool = True


def source_of_file(path: str | Path, *, data: str | Path | None = None) -> ExportSource:
    """Return a bare ONNX file with rows.

    Args:
        path: The ONNX file.
        data: An ``.npy`` file of rows as the model reads them, or an ``.npz`` file with ``x`` and, if they are known, ``y``;
            a CSV, Parquet or Arrow file of numbers for a model of tables. ``None``: random rows.

    Raises:
        ExportError: The file is no model of one input and one output.
        DataError: The data cannot be read, or is of another shape.
    """
    path = Path(path)
    if data is None:
        rows = random_rows(path)
        return ExportSource(path.name, path, rows, None, "random numbers: no data was given", is_real=False)
    spec = input_of(path)
    rows, labels = _read(Path(data))
    if not hasattr(rows, "shape") or hasattr(rows, "columns"):
        rows = rows.to_numpy()
    rows = _fitting(rows, spec, Path(data))
    return ExportSource(path.name, path, rows[:_MOST_ROWS], _first(_as_numbers(labels, Path(data))), str(data))


def source_of_asset(
    folder: str | Path, *, name: str, data: str | Path | None = None, prepared: str | Path | None = None
) -> ExportSource:
    """Return a registered model with rows, raw rows made into features by its own inference function.

    Args:
        folder: The asset's folder.
        name: What the model is called.
        data: A file of raw rows, with the target where it is known; ``None``: the prepared data, else the examples.
        prepared: The prepared data that the model was made from, if it is still there.

    Raises:
        StoreError: The asset is incomplete or was changed.
        DataError: The data lacks a column, or has a class that the model does not know.
    """
    from ...models import read_asset
    from ...models.inference import load_inference

    folder = Path(folder)
    about = read_asset(folder)
    module = load_inference(folder)
    model = module.Model(folder)
    raw, labels, calibration, origin = _raw_rows(about, data=data, prepared=prepared)
    try:
        rows = model.features(raw)
        ranges = None if calibration is None else model.features(calibration)
    except module.InputError as e:
        raise DataError(f"{origin}: {e}") from e
    return ExportSource(name, folder / "model.onnx", rows, labels, origin, ranges)


def _raw_rows(about: Any, *, data: Any, prepared: Any) -> tuple[Any, Array | None, Any, str]:
    """Return raw rows, their labels as numbers, rows to calibrate with, and where they come from."""
    if data is not None:
        rows, labels = _read(Path(data), target=str(about["target"]))
        numbers = (
            _indices(labels, about["classes"], Path(data)) if about["classes"] else _as_numbers(labels, Path(data))
        )
        return rows[:_MOST_ROWS], _first(numbers), None, str(data)
    if prepared is not None and (Path(prepared) / "prepared.json").is_file():
        from ...data import PreparedData

        known = PreparedData.load(prepared)
        rows, training = known.rows("test")[:_MOST_ROWS], known.rows("train")[:_CALIBRATION_ROWS]
        return rows, known.labels("test")[:_MOST_ROWS], training, "the test rows that the model was made with"
    if about["signature"]["inputs"] and "tensor-spec" in about["signature"]["inputs"][0]:
        import numpy as np

        dtype = about["signature"]["inputs"][0]["tensor-spec"]["dtype"]
        return np.asarray(about["example"], dtype=dtype), None, None, "the example in the model's asset"
    import pandas as pd

    return pd.DataFrame(about["example"]), None, None, "the examples in the model's asset"


def _read(path: Path, *, target: str | None = None) -> tuple[Any, Any]:
    """Return the rows of a file, a data frame or an array, and its target if it has one."""
    from ...data import is_tensor_file, read_rows, read_table

    if not is_tensor_file(path):
        frame = read_table(path)
        return frame, frame[target] if target in frame.columns else None
    import numpy as np

    rows = read_rows(path)
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        return rows, None
    with archive:
        name = f"{target or 'y'}{'' if 'x' in archive.files else '_test'}"
        if name not in archive.files:
            return rows, None
        labels = archive[name]
        if len(labels) != len(rows):
            raise DataError(f"{path}: {name!r} has {len(labels)} values for {len(rows)} rows; expected as many.")
        if "classes" not in archive.files or labels.dtype.kind not in "iu":
            return rows, labels
        names = archive["classes"]
        indices, labels = labels, labels.ravel()
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise DataError(f"{path}: {name!r} has the class {labels.max()}; expected 0 to {len(names) - 1}.")
        return rows, indices if target is None else names[indices]


def _first(labels: Array | None) -> Array | None:
    return None if labels is None else labels[:_MOST_ROWS]


def _as_numbers(labels: Any, path: Path) -> Array | None:
    import numpy as np

    if labels is None:
        return None
    try:
        return np.asarray(labels).astype(np.float64)
    except (TypeError, ValueError) as e:
        raise DataError(
            f"{path}: the target has values that are no numbers.",
            hint="For a classifier in an ONNX file, y holds the number of a column of its output, 0 to k-1.",
        ) from e


def _indices(labels: Any, classes: Sequence[Any], path: Path) -> Array | None:
    """Return the index of each label among the classes.

    Raises:
        DataError: A label is none of them.
    """
    import numpy as np

    if labels is None:
        return None
    places = {str(label): index for index, label in enumerate(classes)}
    texts = [str(label) for label in np.asarray(labels).tolist()]
    unknown = next((text for text in texts if text not in places), None)
    if unknown is not None:
        raise DataError(f"{path}: the target has the class {unknown!r}; the model knows {', '.join(places)}.")
    return np.array([places[text] for text in texts])


def input_of(path: Path) -> TensorSpec:
    """Return what an ONNX file reads.

    Raises:
        ExportError: ONNX Runtime cannot load it, or it has several inputs or outputs.
    """
    try:
        with RUNTIMES.get("onnxruntime")().prepare(path, device=DEVICES["local"], options=RuntimeOptions()) as session:
            return session.input
    except MeasurementError as e:
        is_several = "other inputs and outputs" in e.message
        raise ExportError(e.message, hint=_SEVERAL if is_several else e.hint) from e


def size_of(path: Path) -> int:
    """Return the size of an ONNX model in bytes, with the files that its weights are in.

    Raises:
        ExportError: It cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
        named = {
            entry.value for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"
        }
        return sum(file.stat().st_size for file in (path, *(path.parent / name for name in named)))
    except (OSError, DecodeError) as e:
        raise ExportError(f"The model {path} cannot be read: {e}.") from e


def random_rows(path: Path, *, count: int = _RANDOM_ROWS) -> Array:
    """Return rows of normal numbers, or of tokens that the model's table has, always the same ones.

    Args:
        path: The ONNX file.
        count: How many.

    Raises:
        SpecError: The model leaves a size of its rows open.
    """
    import numpy as np

    spec = input_of(path)
    if None in spec.shape:
        raise SpecError(
            f"The model {path} reads rows of any size: {list(spec.shape)}.", hint="Give rows with --data ROWS.npy."
        )
    shape = (count, *(int(size) for size in spec.shape if size is not None))
    rng = np.random.default_rng(0)
    if np.dtype(spec.dtype).kind in "iu":
        return rng.integers(0, _table_size(path), size=shape).astype(spec.dtype)
    return rng.normal(size=shape).astype(spec.dtype)


def _table_size(path: Path) -> int:
    """Return how many tokens a model knows: the rows of the table that its input looks up."""
    import onnx

    graph = onnx.load(path).graph
    sizes = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    source = graph.input[0].name
    looked_up = [
        sizes.get(node.input[0], 0) for node in graph.node if node.op_type == "Gather" and source in node.input
    ]
    return int(min((size for size in looked_up if size), default=2))


def _fitting(rows: Any, spec: TensorSpec, path: Path) -> Array:
    """Return rows as a model reads them.

    Raises:
        DataError: They are of another shape.
    """
    try:
        fitting = as_rows(rows, spec.dtype)
    except (ExportError, TypeError, ValueError) as e:
        raise DataError(f"{path}: {e}") from e
    misfit = replace(spec, batch=None).misfit(fitting)
    if misfit is not None:
        raise DataError(f"{path}: the rows do not fit the model: {misfit}.")
    if len(fitting) == 0:
        raise DataError(f"{path} has no rows.")
    return fitting


def reference_predictions(source: ExportSource, *, most: int | None = None) -> Array:
    """Return what the float32 model predicts on ONNX Runtime, float64 ``n x k``.

    Args:
        source: The model.
        most: How many rows at most; ``None``: all.

    Raises:
        ExportError: It does not run.
    """
    import numpy as np

    try:
        runtime = RUNTIMES.get("onnxruntime")()
        with runtime.prepare(source.path, device=DEVICES["local"], options=RuntimeOptions()) as session:
            return predictions(session, source.rows[:most]).astype(np.float64)
    except MeasurementError as e:
        raise ExportError(f"The model {source.name} does not run: {e.message}", hint=e.hint) from e
