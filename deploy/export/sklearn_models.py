"""scikit-learn to ONNX: tree ensembles and nearest neighbours directly, everything else by skl2onnx."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, MissingDependencyError
from ...registry import Registry
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
from .graph import INPUT, ML_DOMAIN, OPSET, Graph, keep_only

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_HINT = (
    "Fit it first, on an array of numbers with as many columns: an exported model reads columns by place, not by name."
)
_FOREST = ".forests:add_averaging_forest"
_BOOSTING = ".forests:add_histogram_boosting"
_NEIGHBORS = ".neighbors:add_neighbors"

# By the exact class: a subclass may predict otherwise.
DIRECT: Registry[Callable[[Graph, Any], str]] = Registry(
    "direct converter",
    {
        "DecisionTreeClassifier": _FOREST,
        "DecisionTreeRegressor": _FOREST,
        "ExtraTreeClassifier": _FOREST,
        "ExtraTreeRegressor": _FOREST,
        "ExtraTreesClassifier": _FOREST,
        "ExtraTreesRegressor": _FOREST,
        "HistGradientBoostingClassifier": _BOOSTING,
        "HistGradientBoostingRegressor": _BOOSTING,
        "KNeighborsClassifier": _NEIGHBORS,
        "KNeighborsRegressor": _NEIGHBORS,
        "RandomForestClassifier": _FOREST,
        "RandomForestRegressor": _FOREST,
    },
    package=__package__,
)


class SklearnExporter(Exporter):
    """Exports fitted scikit-learn estimators and pipelines of them."""

    name = "sklearn"

    def convert(self, model: Any, *, example: Array, task: Task, batch: int | None = None) -> Conversion:
        """Convert a fitted estimator; a refusal names the estimator, or the step of a pipeline, that is not known."""
        try:
            return self._directly(model, rows=rows_of(example, batch), task=task)
        except UnsupportedError as e:
            return _by_skl2onnx(model, rows=rows_of(example, batch), task=task, reason=e)

    def _directly(self, model: Any, *, rows: TensorSpec, task: Task) -> Conversion:
        known = type(model).__name__ in DIRECT and type(model).__module__.startswith("sklearn.")
        if not known:
            raise UnsupportedError(describe(model))
        graph = Graph(rows)
        value = DIRECT.get(type(model).__name__)(graph, model)
        columns = len(model.classes_) if task == "classification" else 1
        return Conversion(graph.finish(value, output=OUTPUTS[task], columns=columns), "direct")

    def predict(self, model: Any, rows: Array, *, task: Task) -> Array:
        """Return ``predict_proba`` or ``predict``."""
        import numpy as np

        if task == "regression":
            with asking(model, rows, hint=_HINT):
                return np.asarray(model.predict(rows), dtype=np.float64)
        if not hasattr(model, "predict_proba"):
            raise ExportError(
                f"{describe(model)} has no predict_proba: a classifier is exported with its probabilities.",
                hint="Use a classifier that has them, or wrap it in CalibratedClassifierCV.",
            )
        with asking(model, rows, hint=_HINT):
            return np.asarray(model.predict_proba(rows), dtype=np.float64)

    def ambiguous(self, model: Any, rows: Array) -> Array | None:
        """Return the rows whose last neighbour is as far as the next: which one counts is chance."""
        if type(model).__name__ not in ("KNeighborsClassifier", "KNeighborsRegressor"):
            return None
        from .neighbors import tied_rows

        return tied_rows(model, rows)


def _by_skl2onnx(model: Any, *, rows: TensorSpec, task: Task, reason: UnsupportedError) -> Conversion:
    """Convert with skl2onnx and keep only the probabilities or the prediction."""
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as e:
        raise MissingDependencyError(
            f"skl2onnx is needed to export {describe(model)}.", hint="pip install skl2onnx"
        ) from e

    is_classifier = task == "classification"
    try:
        onnx_model = convert_sklearn(
            model,
            initial_types=[(INPUT, FloatTensorType([None, *rows.shape]))],
            options={id(model): {"zipmap": False}} if is_classifier else None,
            target_opset={"": OPSET, ML_DOMAIN: 3},
        )
    except CONVERTER_FAILURES as e:
        said = " ".join(str(e).split())
        part = next((name for name, inner in _parts(model) if describe(inner) in said), None)
        raise ExportError(
            f"skl2onnx cannot convert {describe(model)}: "
            + (said[:500] if part is None else f"it has no converter for {part}."),
            hint=_way_out(said, part) or reason.hint,
        ) from e
    outputs = [value.name for value in onnx_model.graph.output]
    columns = len(model.classes_) if is_classifier else 1
    # A classifier outputs its labels, then its probabilities.
    return Conversion(keep_only(onnx_model, outputs[-1], name=OUTPUTS[task], columns=columns, rows=rows), "skl2onnx")


def _way_out(said: str, part: str | None) -> str | None:
    """Return what to do about what skl2onnx does not know, where that is known."""
    if "flatten_transform" in said:
        return "Give the VotingClassifier flatten_transform=False: the predictions are the same."
    if part is not None and "lightgbm." in part:
        return "Export the LightGBM model alone, fitted on what the steps before it make."
    return None


def _parts(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a model and the estimators inside it, each as errors name it: its step and its class."""
    yield (f"the step {path!r} ({describe(model)})" if path else describe(model)), model
    get = getattr(model, "get_params", None)
    for key, value in get(deep=False).items() if callable(get) and not isinstance(model, type) else ():
        named = value if isinstance(value, list) else [(key, value)]
        for item in named:
            if isinstance(item, tuple) and len(item) > 1 and hasattr(item[1], "get_params"):
                yield from _parts(item[1], f"{path}.{item[0]}" if path else str(item[0]))
