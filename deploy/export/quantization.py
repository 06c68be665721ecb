"""Make an exported model smaller and faster at a known price: fp16, int8 static (QDQ), int8 dynamic.

The price is never assumed: both models predict the same rows and the loss of the score is part of the result; a model
that loses more than is tolerated is not written. It is not uncommon: an untrained encoder lost 56 %.

int8 static puts unsigned 8-bit activations and signed 8-bit weights, one scale for each channel, around each operator
(QDQ: Jacob et al., CVPR 2018, arXiv:1712.05877), with ranges that calibration rows show. It suits convolutions. int8
dynamic finds the ranges in each prediction and suits matrix products; it leaves convolutions alone, which ONNX Runtime
would run several times slower in that form.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...errors import ExportError, MeasurementError, MissingDependencyError, SpecError
from ..devices import DEVICES
from ..runtimes import RUNTIMES, RuntimeOptions
from .agreement import as_rows, predictions
from .exporter import CONVERTER_FAILURES, Task
from .onnx_model import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    Array = np.ndarray[Any, Any]

Scheme = Literal["fp16", "int8", "int8-dynamic"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
TOLERANCE = 0.02
CALIBRATION_ROWS = 256

_NOISE = 1e-9  # of a difference of two scores: a loss that equals the tolerance is within it
_SINGLE, _HALF = 1, 10  # kinds of TensorProto
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
_HOW_LABELS = (
    "A label is the number of a column of the model's output, 0 to {}; without labels the float32 model is the truth."
)
_TOGETHER = (
    "activations get one range for all rows of a batch: what is predicted for a row depends a little on the others "
    "(judged in batches of 64)"
)
_CLASSICAL = "ai.onnx.ml"
_PRODUCTS = ("Conv", "MatMul", "Gemm")
# What int8 convolutions pass their results through without a way back to float32.
_AROUND_CONVOLUTIONS = ("Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Pad")
# Sums and exponentials of many values: 11 bits are too few, or 65504 is too small.
_FLOAT32_IN_HALF = ("Softmax", "LogSoftmax", "LayerNormalization", "ReduceSum", "ReduceMean", "Exp", "Pow")


@dataclass(frozen=True)
class QuantizationReport:
    """What a quantization won and cost, on the same rows; the float32 model runs on ONNX Runtime.

    Args:
        scheme: ``"fp16"``, ``"int8"`` or ``"int8-dynamic"``.
        rows: How many rows both models predicted.
        calibration_rows: How many rows the ranges come from; 0 where none are needed.
        truth: What the scores compare with: ``"labels"``, or ``"the float32 model"`` where no labels were given.
        metric: ``"accuracy"``, or ``"r2"`` for regression.
        score_before: Score of the float32 model.
        score_after: Score of the quantized model.
        loss: ``score_before - score_after``.
        label_agreement: Share of the rows with the same label, in [0, 1]; ``None`` for regression.
        max_abs: Largest difference of two predictions.
        max_relative: The same relative to the predictions' standard deviation, or to the prediction where that is
            larger; ``None`` for classes.
        bytes_before: Size of the float32 file.
        bytes_after: Size of the quantized file.
        runtime: What ran the quantized model.
        notes: What a reader should know, such as operators that stay in float32.
    """

    scheme: Scheme
    rows: int
    calibration_rows: int
    truth: str
    metric: str
    score_before: float
    score_after: float
    loss: float
    label_agreement: float | None
    max_abs: float
    max_relative: float | None
    bytes_before: int
    bytes_after: int
    runtime: str = "onnxruntime"
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return asdict(self)

    def check(self, tolerance: float) -> None:
        """Refuse a model that loses too much.

        Args:
            tolerance: Largest loss of the score.

        Raises:
            ExportError: It loses more.
        """
        if not self.loss <= tolerance + _NOISE:
            raise ExportError(
                f"Quantized to {self.scheme}, the model loses {self.loss:.3g} of {self.metric} against {self.truth} "
                f"({self.score_before:.4g} to {self.score_after:.4g} on {self.rows} rows, {self.runtime}), tolerance "
                f"{tolerance:g}.",
                hint="Use fp16 or another int8 scheme, give more calibration rows, or allow a larger loss.",
            )

    def on_runtime(self, runtime: str, before: Array, after: Array, *, labels: Array | None) -> QuantizationReport:
        """Return the same for another runtime, whose 8-bit sums round otherwise.

        Args:
            runtime: Its name.
            before: What the float32 model predicts, ``n x k``.
            after: What this runtime predicts, ``n x k``.
            labels: Class indices or values ``n``; ``None``: not known.
        """
        task: Task = "classification" if self.metric == "accuracy" else "regression"
        return replace(self, runtime=runtime, **_price(before, after, labels=labels, task=task))


def quantize(
    model: str | Path,
    path: str | Path,
    *,
    scheme: Scheme,
    rows: Array,
    task: Task,
    labels: Array | None = None,
    calibration: Array | None = None,
    tolerance: float = TOLERANCE,
    symmetric: bool = False,
) -> QuantizationReport:
    """Quantize an ONNX file, measure what it costs, and write it if that is within the tolerance.

    Args:
        model: The float32 file; one input, one output.
        path: The file to write, whole or not at all. Its input and output stay float32.
        scheme: ``"fp16"``: half the size, for devices that compute in it. ``"int8"``: a quarter, with ranges from
            calibration rows. ``"int8-dynamic"``: the same for matrix products only, without calibration.
        rows: Rows to judge by, ``n x ...``, best not seen in training and not among ``calibration``.
        task: ``"classification"``: judged by accuracy. ``"regression"``: judged by R², of the column that loses most.
        labels: Class indices ``n`` (0 to ``k - 1``), or values ``n`` or ``n x k``; ``None``: what the float32 model
            predicts is taken for the truth.
        calibration: Rows to find ranges with; ``None``: the first half of ``rows``, which are then not judged by.
        tolerance: Largest loss of the score, such as 0.02 for two points of accuracy; at least 0.
        symmetric: Whether int8 activations are signed and centred on 0, the only form that TensorRT takes.

    Raises:
        SpecError: ``scheme`` is unknown, ``tolerance`` is negative, there are too few rows, or the labels are not as above.
        ExportError: The model has operators that cannot be quantized, or nothing that can; the quantized model does not
            run; or it loses more than ``tolerance``.
        MissingDependencyError: ``onnx`` is not installed.
    """
    if scheme not in SCHEMES:
        raise SpecError(f"scheme = {scheme!r}: expected {', '.join(map(repr, SCHEMES))}.")
    if not tolerance >= 0:
        raise SpecError(f"tolerance = {tolerance}: expected at least 0, such as 0.02 for two points of accuracy.")
    calibration, rows, labels = _parts(rows, labels, calibration if scheme == "int8" else rows[:0])
    before, proto = _read(Path(model))
    _refuse_classical(proto, scheme)
    refuse_quantized(proto, scheme)
    rows = as_rows(rows, _input_dtype(proto))
    predicted = _predict(before, rows)
    labels = _checked(labels, task=task, columns=predicted.shape[1])
    with tempfile.TemporaryDirectory(prefix="omniforge-quantize-") as folder, _quiet():
        try:
            if scheme == "fp16":
                content, notes = _to_half(proto)
            elif scheme == "int8-dynamic":
                content, notes = _to_dynamic(proto, Path(folder))
            else:
                ranges = as_rows(calibration, _input_dtype(proto))
                content, notes = _to_static(proto, ranges, Path(folder), symmetric=symmetric), ()
        except (ExportError, MissingDependencyError):
            raise
        except _failures() as e:
            raise ExportError(f"The model cannot be quantized to {scheme}: {' '.join(str(e).split())[:500]}") from e
    report = QuantizationReport(
        scheme=scheme,
        calibration_rows=len(calibration),
        bytes_before=len(before),
        bytes_after=len(content),
        notes=notes,
        **_price(predicted, _predict(content, rows, name="quantized model"), labels=labels, task=task),
    )
    report.check(tolerance)
    write_atomically(Path(path), content)
    return report


def _parts(rows: Array, labels: Array | None, calibration: Array | None) -> tuple[Array, Array, Array | None]:
    """Return calibration rows, rows to judge by, and their labels.

    Raises:
        SpecError: There are too few rows, or labels do not go with them.
    """
    if labels is not None and len(labels) != len(rows):
        raise SpecError(f"labels has {len(labels)} values for {len(rows)} rows; expected as many.")
    if calibration is None:
        half = min(len(rows) // 2, CALIBRATION_ROWS)
        calibration, rows = rows[:half], rows[half:]
        labels = None if labels is None else labels[half:]
        if half < 1:
            raise SpecError("rows has fewer than 2 rows; int8 needs some to calibrate and some to judge by.")
    if len(rows) == 0:
        raise SpecError("rows is empty; a quantized model is judged by its predictions of real rows.")
    return calibration, rows, labels


def _checked(labels: Array | None, *, task: Task, columns: int) -> Array | None:
    """Return labels as numbers that predictions can be compared with.

    Raises:
        SpecError: They are no class indices, or no values for each column.
    """
    import numpy as np

    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biuf":
        raise SpecError(f"labels holds {labels.dtype}; expected numbers.", hint=_HOW_LABELS.format(columns - 1))
    missing = np.isnan(labels.astype(np.float64)).reshape(len(labels), -1).any(axis=1)
    if missing.any():
        raise SpecError(
            f"labels holds NaN in row {int(np.flatnonzero(missing)[0])}.", hint="Leave out rows without a label."
        )
    if task == "classification":
        wrong = (labels < 0) | (labels >= columns) | (labels != np.floor(labels))
        if wrong.any() or labels.size != len(labels):
            shown = (
                f"labels holds {labels[wrong][0]:g}" if wrong.any() else f"labels has the shape {list(labels.shape)}"
            )
            raise SpecError(
                f"{shown}; expected one class index of 0 to {columns - 1} for each row.",
                hint=_HOW_LABELS.format(columns - 1),
            )
    elif labels.size != len(labels) * columns:
        raise SpecError(
            f"labels has the shape {list(labels.shape)}; the model predicts {columns} values for each row.",
            hint=f"Give n x {columns} values, or no labels: then the float32 model is taken for the truth.",
        )
    return labels


def _read(path: Path) -> tuple[bytes, ModelProto]:
    try:
        import onnx
    except ImportError as e:
        raise MissingDependencyError("onnx is needed to quantize a model.", hint="pip install onnx") from e
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load(path)  # with what it keeps in other files
        return proto.SerializeToString(), proto
    except (OSError, onnx.checker.ValidationError) as e:
        raise ExportError(
            f"The model {path} cannot be read: {getattr(e, 'strerror', None) or ' '.join(str(e).split())[:300]}."
        ) from e
    except ValueError as e:
        raise ExportError(f"The model {path} does not fit into memory as one file (2 GiB).") from e
    except DecodeError as e:
        raise ExportError(f"The file {path} is not an ONNX model.") from e


def _failures() -> tuple[type[Exception], ...]:
    """Return what the quantizer raises when it trips over a model."""
    from onnx import checker, shape_inference
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    ours = (checker.ValidationError, shape_inference.InferenceError)
    theirs = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented, state.RuntimeException)
    return (*CONVERTER_FAILURES, *ours, *theirs)


def _refuse_classical(model: ModelProto, scheme: str) -> None:
    """Refuse trees and other classical operators, whose thresholds and sums do not survive a coarser grid."""
    names = sorted({node.op_type for node in model.graph.node if node.domain == _CLASSICAL})
    if names:
        raise ExportError(
            f"The model cannot be quantized to {scheme}: it has the operator{'s' * (len(names) > 1)} "
            f"{', '.join(names)}.",
            hint="Tree ensembles and other classical models are made smaller by fewer or shallower trees.",
        )


def refuse_quantized(model: ModelProto, scheme: str) -> None:
    """Refuse what is quantized already, and fp16 where there is nothing to make smaller.

    Args:
        model: The model; its weights may be left in other files.
        scheme: How it is to be quantized.

    Raises:
        ExportError: It is, or there is nothing.
    """
    kinds = {tensor.data_type for tensor in model.graph.initializer if math.prod(tensor.dims) > 1}
    kinds |= {
        attribute.t.data_type
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value" and math.prod(attribute.t.dims) > 1
    }
    found = sorted(_operators(model).keys() & set(_QUANTIZED))
    if found or _HALF in kinds:
        what = f"it has the operator {found[0]}" if found else "it has weights of 16 bits"
        raise ExportError(
            f"The model is already quantized: {what}.", hint="Give the float32 model that it was made of."
        )
    if scheme == "fp16" and _SINGLE not in kinds:
        raise ExportError("The model cannot be quantized to fp16: it has no float32 weights.")


def _input_dtype(model: ModelProto) -> str:
    from onnx import helper

    return str(helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type))


def _operators(model: ModelProto) -> dict[str, int]:
    """Return how often each operator occurs."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts


def _to_half(model: ModelProto) -> tuple[bytes, tuple[str, ...]]:
    """Store weights and compute in 16 bits, with float32 ends and float32 where sums are taken."""
    from onnxruntime.transformers import float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *_FLOAT32_IN_HALF]
    half = float16.convert_float_to_float16(
        _with_own_constants(model, blocked), keep_io_types=True, op_block_list=blocked
    )
    OnnxModel(half).topological_sort()  # the converter adds its casts at the end
    kept = sorted(set(_operators(model)) & set(_FLOAT32_IN_HALF))
    notes = (f"in float32: {', '.join(kept)}",) if kept else ()
    content: bytes = half.SerializeToString()
    return content, (*notes, "ONNX Runtime computes most of it in float32 on processors without half precision")


def _with_own_constants(model: ModelProto, operators: list[str]) -> ModelProto:
    """Return a copy in which these operators share no constant: the converter casts each by its name, once too often."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in copy.graph.initializer}
    for number, node in enumerate(node for node in copy.graph.node if node.op_type in operators):
        for at, name in enumerate(node.input):
            if name in constants:
                copy.graph.initializer.add().CopyFrom(constants[name])
                node.input[at] = copy.graph.initializer[-1].name = f"{name}_of_{number}"
    used = {name for node in copy.graph.node for name in node.input}
    for tensor in [tensor for tensor in copy.graph.initializer if tensor.name not in used]:
        copy.graph.initializer.remove(tensor)
    return copy


def _to_static(model: ModelProto, calibration: Array, folder: Path, *, symmetric: bool) -> bytes:
    """Put 8-bit ranges around each operator that gains from it."""
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or len(calibration)
            whole = np.resize(calibration, (-(-len(calibration) // size) * size, *calibration.shape[1:]))
            self.batches = iter([whole[at : at + size] for at in range(0, len(whole), size)])
            self.name = model.graph.input[0].name

        def get_next(self) -> dict[str, Array] | None:
            batch = next(self.batches, None)
            return None if batch is None else {self.name: batch}

    prepared = _prepared(model, folder)
    counts = _operators(prepared)
    is_convolutional = "Conv" in counts and "LayerNormalization" not in counts
    kinds = [*_PRODUCTS, *(_AROUND_CONVOLUTIONS if is_convolutional else ())]
    constants = {tensor.name for tensor in prepared.graph.initializer}
    moving = [node.name for node in prepared.graph.node if node.op_type == "MatMul" and node.input[1] not in constants]
    quantize_static(
        prepared,
        folder / "static.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=kinds,
        nodes_to_exclude=moving,  # of attention: in 8 bits they were slower and less exact
        per_channel=True,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},  # TensorRT: no int32 biases
    )
    content = (folder / "static.onnx").read_bytes()
    _check_quantized(content, {"QuantizeLinear", "DequantizeLinear"}, counts)
    return content


def _to_dynamic(model: ModelProto, folder: Path) -> tuple[bytes, tuple[str, ...]]:
    """Store the weights of matrix products in 8 bits; ranges of activations are found in each prediction."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    prepared = _prepared(model, folder)
    counts = _operators(prepared)
    quantize_dynamic(
        prepared,
        folder / "dynamic.onnx",
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    content = (folder / "dynamic.onnx").read_bytes()
    _check_quantized(content, {"MatMulInteger", "DynamicQuantizeLinear"}, counts)
    convolutions = counts.get("Conv", 0)
    kept = (f"in float32: {convolutions} convolutions; int8 (static) is for those",) if convolutions else ()
    return content, (*kept, _TOGETHER)


def _prepared(model: ModelProto, folder: Path) -> ModelProto:
    """Return a model with constants folded, batch normalizations in convolutions, and the shapes of its values."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    (folder / "float.onnx").write_bytes(model.SerializeToString())
    quant_pre_process(folder / "float.onnx", folder / "prepared.onnx", skip_symbolic_shape=True)
    return onnx.load(folder / "prepared.onnx")


def _check_quantized(content: bytes, signs: set[str], counts: dict[str, int]) -> None:
    """Check that something was quantized.

    Raises:
        ExportError: Nothing was; the message names the operators that the model has.
    """
    import onnx

    if signs.isdisjoint(_operators(onnx.load_model_from_string(content))):
        raise ExportError(
            f"Nothing in the model can be quantized so; its operators are {', '.join(sorted(counts))}.",
            hint="int8 is for convolutions and matrix products with constant weights.",
        )


def _price(before: Array, after: Array, *, labels: Array | None, task: Task) -> dict[str, Any]:
    """Compare what the float32 model predicts with what the quantized one predicts for the same rows."""
    import numpy as np

    if not np.isfinite(after).all():
        raise ExportError("The quantized model predicts NaN or infinity.")
    is_classes = task == "classification"
    truth = (before.argmax(axis=1) if is_classes else before) if labels is None else np.asarray(labels)
    if is_classes:
        score_before, score_after = _accuracy(before, truth), _accuracy(after, truth)
    else:
        score_before, score_after = _r2_of_worst(before, after, truth)
    difference = np.abs(after - before)
    scale = np.maximum(np.abs(before), before.std(axis=0)) + np.finfo(np.float32).tiny
    return {
        "rows": len(before),
        "truth": "the float32 model" if labels is None else "labels",
        "metric": "accuracy" if is_classes else "r2",
        "score_before": score_before,
        "score_after": score_after,
        "loss": score_before - score_after,
        "label_agreement": float((before.argmax(axis=1) == after.argmax(axis=1)).mean()) if is_classes else None,
        "max_abs": float(difference.max()),
        "max_relative": None if is_classes else float((difference / scale).max()),
    }


def _predict(content: bytes, rows: Array, *, name: str = "model") -> Array:
    import numpy as np

    runtime = RUNTIMES.get("onnxruntime")()
    try:
        with runtime.prepare(content, device=DEVICES["local"], options=RuntimeOptions()) as session:
            return predictions(session, rows).astype(np.float64)
    except MeasurementError as e:
        raise ExportError(f"The {name} does not run: {e.message}", hint=e.hint) from e


def _accuracy(predicted: Array, truth: Array) -> float:
    return float((predicted.argmax(axis=1) == truth.ravel()).mean())


def _r2_of_worst(before: Array, after: Array, truth: Array) -> tuple[float, float]:
    """Return both R² of the column that loses most; columns whose truth does not vary count only where none does."""
    import numpy as np

    truth = np.asarray(truth, dtype=np.float64).reshape(len(before), -1)
    columns = [column for column in range(truth.shape[1]) if np.ptp(truth[:, column]) > 0.0]
    if not columns:
        return _r2(before, truth), _r2(after, truth)
    scores = [tuple(_r2(each[:, [c]], truth[:, [c]]) for each in (before, after)) for c in columns]
    worst = max(scores, key=lambda score: score[0] - score[1])
    return worst[0], worst[1]


def _r2(predicted: Array, truth: Array) -> float:
    """Return the share of the truth's variance that is predicted; 1 where there is none and nothing differs."""
    import numpy as np

    truth = np.asarray(truth, dtype=np.float64).reshape(len(predicted), -1)
    wrong, total = float(((predicted - truth) ** 2).sum()), float(((truth - truth.mean(axis=0)) ** 2).sum())
    if total == 0.0:
        return 1.0 if wrong == 0.0 else -np.inf
    return 1.0 - wrong / total


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantizer, which logs its advice to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
