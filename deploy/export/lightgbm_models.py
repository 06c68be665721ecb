"""LightGBM to ONNX: numerical trees directly from the model's text, everything else by onnxmltools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ExportError, MissingDependencyError
from ..runtimes.base import TensorSpec
from .exporter import (
    CONVERTER_FAILURES,
    OUTPUTS,
    Conversion,
    Exporter,
    Task,
    UnsupportedError,
    asking,
    describe,
    rows_of,
)
from .graph import INPUT, Graph, keep_only
from .heads import Link, add_link
from .trees import Tree, add_forest

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# LightGBM's name of an objective: how the raw sum becomes a prediction.
_LINKS: dict[str, Link] = {
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), "identity"),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
    "binary": "sigmoid",
    "multiclass": "softmax",
}
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2  # bits 2 and 3 of a split's decision_type


class LightGBMExporter(Exporter):
    """Exports LGBMClassifier, LGBMRegressor and Booster."""

    name = "lightgbm"

    def convert(self, model: Any, *, example: Array, task: Task, batch: int | None = None) -> Conversion:
        """Convert a fitted model."""
        try:
            return _directly(model, rows=rows_of(example, batch), task=task)
        except UnsupportedError as e:
            return _by_onnxmltools(model, rows=rows_of(example, batch), task=task, reason=e)

    def predict(self, model: Any, rows: Array, *, task: Task) -> Array:
        """Return LightGBM's own prediction, with the best iteration where training was stopped early."""
        from lightgbm.basic import LightGBMError

        with asking(model, rows, hint="Fit it first, and give rows of as many numbers as it was fitted on."):
            try:
                raw = np.asarray(_booster(model).predict(rows), dtype=np.float64)
            except LightGBMError as e:
                raise ValueError(str(e)) from e
        if task == "regression" or raw.ndim == 2:
            return raw
        return np.column_stack([1.0 - raw, raw])


def _booster(model: Any) -> Any:
    return getattr(model, "booster_", model)


def _directly(model: Any, *, rows: TensorSpec, task: Task) -> Conversion:
    """Convert a model whose splits are all numerical.

    Raises:
        UnsupportedError: It has categorical splits, linear leaves or an objective that is not known here.
    """
    sections = _sections(_booster(model).model_to_string())
    header = next(sections)
    objective, *settings = header.get("objective", "").split() or [""]
    _refuse_dropped(settings)
    if not objective and task == "classification":
        raise ExportError(
            f"{describe(model)} has an objective of its own: it predicts raw scores, and no probabilities.",
            hint="Train with a built-in objective such as binary or multiclass.",
        )
    link = _LINKS.get(objective) if objective else "identity"
    if link is None:
        raise UnsupportedError(f"{describe(model)} with the objective {header.get('objective', '')!r}")
    per_round = int(header["num_tree_per_iteration"])
    trees = [_tree(section, target=number % per_round) for number, section in enumerate(sections)]
    if not trees:
        raise UnsupportedError(f"{describe(model)} without trees")
    graph = Graph(rows)
    average = "average_output" in header
    if average and per_round > 1:
        raise UnsupportedError(f"{describe(model)} in random forest mode with several classes")
    total = add_forest(graph, trees, base=np.zeros(per_round), average=average)
    columns = max(per_round, 2) if task == "classification" else 1
    value = add_link(graph, total, link=link)
    return Conversion(graph.finish(value, output=OUTPUTS[task], columns=columns), "direct")


def _refuse_dropped(settings: list[str]) -> None:
    """Refuse settings of the objective that onnxmltools would leave out without a word."""
    dropped = {"sqrt": "reg_sqrt=False"} | {s: "sigmoid=1" for s in settings if s.startswith("sigmoid:")}
    for setting in settings:
        if setting in dropped and setting != "sigmoid:1":
            raise ExportError(
                f"LightGBM's setting {dropped[setting].partition('=')[0]} ({setting}) is not written to ONNX.",
                hint=f"Train with {dropped[setting]}.",
            )


def _sections(text: str) -> Iterator[Mapping[str, str]]:
    """Yield a model's header, then each of its trees, as the fields that LightGBM writes."""
    body = text.partition("\nend of trees")[0]
    for part in body.split("\nTree="):
        fields = (line.partition("=") for line in part.splitlines())
        yield {key: value for key, _, value in fields}


def _tree(section: Mapping[str, str], *, target: int) -> Tree:
    """Return one tree: the splits in LightGBM's order, then the leaves.

    Raises:
        UnsupportedError: It splits on categories.
        ExportError: It has linear leaves or treats zero as missing, which onnxmltools would leave out without a word.
    """
    if section.get("num_cat", "0") != "0":
        raise UnsupportedError("LightGBM's categorical splits")
    if section.get("is_linear", "0") != "0":
        raise ExportError(
            "LightGBM's linear leaves (linear_tree) have no counterpart in ONNX.", hint="linear_tree=False"
        )
    leaves = int(section["num_leaves"])
    splits = leaves - 1
    threshold = _numbers(section, "threshold", splits)
    decision = _numbers(section, "decision_type", splits).astype(np.int64)
    missing = decision >> 2 & 3
    if np.any(missing == _MISSING_ZERO):
        raise ExportError(
            "LightGBM's zero_as_missing has no counterpart in ONNX's trees.", hint="Train with zero_as_missing=False."
        )
    # Where training saw no missing value, LightGBM reads a missing one as zero.
    missing_left = np.where(missing == _MISSING_NAN, decision & _DEFAULT_LEFT != 0, threshold >= 0.0)
    blank = np.zeros(leaves)

    def child(name: str) -> Array:
        nodes = _numbers(section, name, splits).astype(np.int64)
        return np.where(nodes < 0, splits - 1 - nodes, nodes)  # -1 is the first leaf

    return Tree(
        feature=np.concatenate([_numbers(section, "split_feature", splits), blank]).astype(np.int64),
        threshold=np.concatenate([threshold, blank]),
        left=np.concatenate([child("left_child"), blank.astype(np.int64)]),
        right=np.concatenate([child("right_child"), blank.astype(np.int64)]),
        is_leaf=np.arange(splits + leaves) >= splits,
        missing_left=np.concatenate([missing_left, blank.astype(bool)]),
        leaf_values=_numbers(section, "leaf_value", leaves)[:, None],
        target=target,
    )


def _numbers(section: Mapping[str, str], key: str, count: int) -> Array:
    if count == 0:
        return np.zeros(0)
    return np.array(section[key].split(), dtype=np.float64)


def _by_onnxmltools(model: Any, *, rows: TensorSpec, task: Task, reason: UnsupportedError) -> Conversion:
    """Convert with onnxmltools and keep only the probabilities or the prediction."""
    try:
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType
    except ImportError as e:
        raise MissingDependencyError(
            f"onnxmltools is needed to export {describe(model)}.", hint="pip install onnxmltools"
        ) from e

    try:
        onnx_model = convert_lightgbm(
            model, initial_types=[(INPUT, FloatTensorType([None, *rows.shape]))], zipmap=False, target_opset=15
        )
    except CONVERTER_FAILURES as e:
        raise ExportError(
            f"onnxmltools cannot convert {reason.message}: {' '.join(str(e).split())[:500]}", hint=reason.hint
        ) from e
    outputs = [value.name for value in onnx_model.graph.output]
    columns = max(_booster(model).num_model_per_iteration(), 2) if task == "classification" else 1
    return Conversion(keep_only(onnx_model, outputs[-1], name=OUTPUTS[task], columns=columns, rows=rows), "onnxmltools")
