"""Make a model deployable: simplify, quantize, write it in a format, check it, time it, and report all of that.

What it writes is there in full or not at all: files are made in a folder of their own and moved when everything is done.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, MeasurementError, MissingDependencyError
from ..devices import DEVICES, Device
from ..measurement import MeasureOptions, measure
from ..runtimes import RUNTIMES, Runtime, RuntimeOptions, Session
from .agreement import Agreement, as_rows, check_agreement, predictions
from .exporter import Task
from .formats import HOST, Written, check_format, write_format
from .onnx_model import unwritable
from .quantization import TOLERANCE, QuantizationReport, Scheme, quantize, refuse_quantized
from .sources import ExportSource, input_of, reference_predictions, size_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CHECKED_ROWS = 512
_TIMED_ROWS = 256
_BUDGET_S = 1.0
_NOT_OF_THE_MODEL = "peak_memory_mb"  # this process has loaded and freed the model before: no figure of a fresh one


@dataclass(frozen=True)
class Timing:
    """How fast one form of a model is.

    Args:
        model: ``"float32 ONNX"``, or the form that was written.
        runtime: What ran it.
        metrics: Value by name, the names of ``DEPLOYMENT_METRICS``; empty where it cannot run here.
        note: Why it cannot run here, or what to know of the figures.
    """

    model: str
    runtime: str
    metrics: dict[str, float]
    note: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What was written and what is known of it.

    Args:
        model: The model's name.
        format: A name of ``FORMATS``.
        target: The processor that it is for.
        files: The files, the one that is loaded first.
        bytes_before: Size of the float32 ONNX file.
        bytes_after: Size of all files.
        rows: Where the rows come from.
        agreement: How well it predicts what the float32 model predicts; ``None`` where it is quantized or cannot run here.
        quantization: What the quantization cost; ``None`` where there is none.
        speed: Timings side by side.
        notes: What a reader should know.
    """

    model: str
    format: str
    target: str
    files: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    rows: str
    agreement: Agreement | None
    quantization: QuantizationReport | None
    speed: tuple[Timing, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return asdict(self)


def make_deployable(
    source: ExportSource,
    path: str | Path,
    *,
    to: str = "onnx",
    scheme: Scheme | None = None,
    target: str = HOST,
    tolerance: float = TOLERANCE,
    batch: int | None = None,
    simplify: bool = True,
    speed: bool = True,
    settings: Mapping[str, Any] | None = None,
    lock_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write a model as it is shipped, and report on it.

    Args:
        source: The model and its rows.
        path: The main file to write; its suffix is the format's.
        to: ``"onnx"``, ``"openvino"``, ``"tvm"`` or ``"tensorrt"``.
        scheme: How to quantize it first; ``None``: not at all.
        target: The processor; only ``"tvm"`` knows others than ``"host"``.
        tolerance: Largest loss of accuracy or R² by quantizing.
        batch: The only number of rows that the model is to take; ``None``: as it was exported.
        simplify: Whether to simplify the graph, where onnxslim is installed.
        speed: Whether to time it beside the float32 model on ONNX Runtime.
        settings: Settings of the format's runtime, such as TVM's ``tuning_s`` and ``cache``.
        lock_dir: A folder for locks, the same for every process that measures on this machine; ``None``: no lock.
        progress: Called with what is about to be done; ``None``: nobody is told.

    Raises:
        SpecError: The format, the target or the file's name is not what is expected.
        ExportError: The model cannot be written so, does not agree, or loses more than tolerated; nothing is written.
        MissingDependencyError: A library is not installed; the hint is the command that installs it.
    """
    path = Path(path)
    check_format(path, to=to, target=target)
    say = progress or (lambda _: None)
    before = reference_predictions(source)
    task = _task(before, source.labels)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as e:
        raise unwritable(path, e) from e
    try:
        say("check and simplify")
        if scheme is not None:
            _check_unquantized(source.path, scheme)
        plain, notes = _plain(source, folder / "plain.onnx", batch=batch, simplify=simplify)
        takes = batch or input_of(source.path).batch
        check_agreement(
            plain, source.rows[:_CHECKED_ROWS], before[:_CHECKED_ROWS], task=_closeness(before), batch=takes
        )
        quantization, shipped = None, plain
        if scheme is not None:
            say(f"quantize to {scheme}")
            shipped = folder / "quantized.onnx"
            quantization = _quantize(plain, shipped, source, scheme=scheme, task=task, tolerance=tolerance, to=to)
        say(f"write {to}")
        (folder / "out").mkdir()
        written = write_format(shipped, folder / "out" / path.name, to=to, target=target, settings=settings or {})
        say("check what was written")
        agreement, quantization = _verified(written, source, before, quantization, tolerance=tolerance)
        timings: tuple[Timing, ...] = ()
        if speed:
            say("measure")
            shown = f"{scheme or 'float32'} {to}{'' if takes is None else f', {takes} rows'}"
            timings = _timings(source, written, shown, to=to, lock_dir=lock_dir)
        files = _moved(written.files, path.parent)
    except OSError as e:
        raise unwritable(path, e) from e
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ExportReport(
        model=source.name,
        format=to,
        target=target,
        files=tuple(str(file) for file in files),
        bytes_before=size_of(source.path),
        bytes_after=sum(file.stat().st_size for file in files),
        rows=f"{len(source.rows)}: {source.origin}",
        agreement=agreement,
        quantization=quantization,
        speed=timings,
        notes=(*notes, *written.notes),
    )


def _plain(source: ExportSource, path: Path, *, batch: int | None, simplify: bool) -> tuple[Path, tuple[str, ...]]:
    """Write the float32 model with shapes, simplified and checked by ONNX; return what could not be done."""
    import onnx

    from .graph import fix_batch
    from .simplification import finished, simplified

    model, notes = onnx.load(source.path), []
    if batch is not None:
        model = fix_batch(model, batch)
    if simplify:
        try:
            model = simplified(model)
        except MissingDependencyError as e:
            notes.append(f"not simplified: {e.message} {e.hint}")
    path.write_bytes(finished(model).SerializeToString())
    return path, tuple(notes)


def _task(predicted: Array, labels: Array | None) -> Task:
    """Return how a quantization is judged: what predicts probabilities, or scores of labels that are class indices."""
    import numpy as np

    columns = predicted.shape[1]
    if columns == 1 or labels is None or labels.ndim != 1:
        return _closeness(predicted)
    is_indices = bool(np.all((labels >= 0) & (labels < columns) & (labels == np.floor(labels))))
    return "classification" if is_indices else _closeness(predicted)


def _closeness(predicted: Array) -> Task:
    """Return how predictions are compared: probabilities absolutely, everything else relatively."""
    import numpy as np

    sums_to_one = predicted.shape[1] > 1 and bool(np.all(np.abs(predicted.sum(axis=1) - 1.0) < 1e-3))
    return "classification" if sums_to_one and predicted.min() >= -1e-6 else "regression"


def _check_unquantized(path: Path, scheme: Scheme) -> None:
    import onnx

    refuse_quantized(onnx.load(path, load_external_data=False), scheme)


def _quantize(
    plain: Path, path: Path, source: ExportSource, *, scheme: Scheme, task: Task, tolerance: float, to: str
) -> QuantizationReport:
    import onnx

    from .simplification import finished

    report = quantize(
        plain,
        path,
        scheme=scheme,
        rows=source.rows,
        labels=source.labels,
        calibration=source.calibration,
        task=task,
        tolerance=tolerance,
        symmetric=to == "tensorrt",
    )
    finished(onnx.load(path))  # whatever else reads it is stricter than ONNX Runtime
    return report


def _verified(
    written: Written,
    source: ExportSource,
    before: Array,
    quantization: QuantizationReport | None,
    *,
    tolerance: float,
) -> tuple[Agreement | None, QuantizationReport | None]:
    """Check the written files by running them, where something here runs them."""
    if written.runtime is None:
        return None, quantization
    rows, expected = source.rows[:_CHECKED_ROWS], before[:_CHECKED_ROWS]
    if quantization is None:
        with _session(written.runtime, written) as session:
            takes = session.input.batch
        agreement = check_agreement(
            written.files[0], rows, expected, task=_closeness(before), batch=takes, runtime=written.runtime,
            device=written.device,
        )  # fmt: skip
        return agreement, None
    if written.runtime.name == quantization.runtime:
        return None, quantization
    judging = slice(len(source.rows) - quantization.rows, len(source.rows))  # those before may have calibrated it
    with _session(written.runtime, written) as session:
        after = predictions(session, as_rows(source.rows[judging], session.input.dtype))
    labels = None if source.labels is None else source.labels[judging]
    judged = quantization.on_runtime(written.runtime.name, before[judging], after, labels=labels)
    judged.check(tolerance)
    return None, judged


def _session(runtime: Runtime, written: Written) -> Session:
    """Load what was written.

    Raises:
        ExportError: It does not load.
    """
    try:
        return runtime.prepare(written.files[0], device=written.device, options=RuntimeOptions())
    except MeasurementError as e:
        raise ExportError(f"What was written does not run on {runtime.name}: {e.message}", hint=e.hint) from e


def _timings(
    source: ExportSource, written: Written, shown: str, *, to: str, lock_dir: str | Path | None
) -> tuple[Timing, ...]:
    """Time the float32 model on ONNX Runtime and what was written on its own runtime."""
    forms: list[tuple[str, tuple[Path, ...], Runtime, Device]] = [
        ("float32 onnx", (source.path,), RUNTIMES.get("onnxruntime")(), DEVICES["local"])
    ]
    if written.runtime is not None:
        forms.append((shown, written.files, written.runtime, written.device))
    found = []
    for name, files, runtime, device in forms:
        try:
            report = measure(
                files[0], rows=source.rows[:_TIMED_ROWS], device=device, runtime=runtime,
                options=MeasureOptions(budget_s=_BUDGET_S), lock_dir=lock_dir,
            )  # fmt: skip
            size = float(sum(file.stat().st_size for file in files) if files[0] != source.path else size_of(files[0]))
            metrics = {key: value for key, value in report.metrics.items() if key != _NOT_OF_THE_MODEL}
            found.append(Timing(name, runtime.name, {**metrics, "model_bytes": size}))
        except MeasurementError as e:
            found.append(Timing(name, runtime.name, {}, f"cannot be measured here: {e.message}"))
    if written.runtime is None:
        found.append(Timing(shown, to, {}, f"cannot be measured here: {written.why_not}"))
    return tuple(found)


def _moved(files: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    """Move files to where they belong, the one that is loaded last; return where they are, that one first."""
    try:
        for file in reversed(files):
            os.replace(file, folder / file.name)  # noqa: PTH105  # Path.replace is the same call
    except OSError as e:
        raise unwritable(folder, e) from e
    return tuple(folder / file.name for file in files)
