"""scikit-learn to ONNX: tree ensembles and nearest neighbours directly, everything else by skl2onnx."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, MissingDependencyError
from ...registry import Registry
from .exporter import CONVERTER_FAILURES, OUTPUTS, Conversion, Exporter, Task, UnsupportedError, describe
from .graph import INPUT, ML_DOMAIN, OPSET, Graph, keep_only

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

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

    def convert(self, model: Any, *, example: Array, task: Task) -> Conversion:
        """Convert a fitted estimator; a refusal names the estimator, or the step of a pipeline, that is not known."""
        try:
            return self._directly(model, example=example, task=task)
        except UnsupportedError as e:
            return _by_skl2onnx(model, example=example, task=task, reason=e)

    def _directly(self, model: Any, *, example: Array, task: Task) -> Conversion:
        known = type(model).__name__ in DIRECT and type(model).__module__.startswith("sklearn.")
        if not known:
            raise UnsupportedError(describe(model))
        graph = Graph(example.shape[1])
        value = DIRECT.get(type(model).__name__)(graph, model)
        columns = len(model.classes_) if task == "classification" else 1
        return Conversion(graph.finish(value, output=OUTPUTS[task], columns=columns), "direct")

    def predict(self, model: Any, rows: Array, *, task: Task) -> Array:
        """Return ``predict_proba`` or ``predict``."""
        import numpy as np

        if task == "regression":
            return np.asarray(model.predict(rows), dtype=np.float64)
        if not hasattr(model, "predict_proba"):
            raise ExportError(
                f"{describe(model)} has no predict_proba: a classifier is exported with its probabilities.",
                hint="Use a classifier that has them, or wrap it in CalibratedClassifierCV.",
            )
        return np.asarray(model.predict_proba(rows), dtype=np.float64)

    def ambiguous(self, model: Any, rows: Array) -> Array | None:
        """Return the rows whose last neighbour is as far as the next: which one counts is chance."""
        if type(model).__name__ not in ("KNeighborsClassifier", "KNeighborsRegressor"):
            return None
        from .neighbors import tied_rows

        return tied_rows(model, rows)


def _by_skl2onnx(model: Any, *, example: Array, task: Task, reason: UnsupportedError) -> Conversion:
    """Convert with skl2onnx and keep only the probabilities or the prediction."""
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as e:
        raise MissingDependencyError(
            f"skl2onnx is needed to export {describe(model)}.", hint="pip install skl2onnx"
        ) from e

    width = example.shape[1]
    is_classifier = task == "classification"
    try:
        onnx_model = convert_sklearn(
            model,
            initial_types=[(INPUT, FloatTensorType([None, width]))],
            options={id(model): {"zipmap": False}} if is_classifier else None,
            target_opset={"": OPSET, ML_DOMAIN: 3},
        )
    except CONVERTER_FAILURES as e:
        raise ExportError(
            f"skl2onnx cannot convert {describe(model)}: {' '.join(str(e).split())[:500]}", hint=reason.hint
        ) from e
    outputs = [value.name for value in onnx_model.graph.output]
    columns = len(model.classes_) if is_classifier else 1
    # A classifier outputs its labels, then its probabilities.
    return Conversion(keep_only(onnx_model, outputs[-1], name=OUTPUTS[task], columns=columns, width=width), "skl2onnx")
