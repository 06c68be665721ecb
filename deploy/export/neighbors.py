"""scikit-learn's k nearest neighbours as an ONNX graph.

Distances are computed in float64 from float32 rows, as scikit-learn does, so that the same neighbours are found; the
general converter computes them in float32, row by row in a Scan. Where several training rows are exactly as far as the
last neighbour, scikit-learn takes any of them and the graph takes the first: such rows are ``tied_rows``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from .exporter import UnsupportedError
from .graph import INPUT, Graph

Array = np.ndarray[Any, Any]

_EUCLIDEAN = {"euclidean", "l2"}
_MANHATTAN = {"manhattan", "l1", "cityblock"}
_TIE = 1e-9  # relative difference of distances below which two neighbours are equally far
_SAME = 1e-13  # squared distance, relative to the rows' own, that is rounding error of equal rows


def add_neighbors(graph: Graph, model: Any) -> str:
    """Add a KNeighborsClassifier or -Regressor and return the name of its result.

    Args:
        graph: The graph.
        model: The fitted model.

    Raises:
        UnsupportedError: It has another metric than Euclidean or Manhattan, its own weights, or several targets.
    """
    train = _training_rows(model)
    if model.weights not in ("uniform", "distance"):
        raise UnsupportedError(f"{type(model).__name__} with weights of its own")
    target = np.asarray(model._y)
    if target.ndim > 1 and target.shape[1] != 1:
        raise UnsupportedError(f"{type(model).__name__} with several targets")
    metric = _metric(model)
    rows = graph.add("Cast", INPUT, to=TensorProto.DOUBLE)
    distances = (_euclidean if metric in _EUCLIDEAN else _manhattan)(graph, rows, train)
    count = graph.constant(np.array([model.n_neighbors], dtype=np.int64))
    near, nearest = graph.add_many("TopK", distances, count, outputs=2, axis=1, largest=0, sorted=1)
    weights = _weights(graph, near) if model.weights == "distance" else None
    if hasattr(model, "classes_"):
        return _vote(graph, nearest, weights, labels=target.ravel(), classes=len(model.classes_))
    return _mean(graph, nearest, weights, targets=target.ravel())


def tied_rows(model: Any, rows: Array) -> Array | None:
    """Return the rows whose last neighbour is as far as the next one, bool ``n``; ``None`` if there is no next one.

    Args:
        model: A fitted KNeighborsClassifier or -Regressor.
        rows: ``n x d``.
    """
    if model.n_neighbors >= model.n_samples_fit_:
        return None
    distances, _ = model.kneighbors(rows, model.n_neighbors + 1)
    last, following = distances[:, -2], distances[:, -1]
    return np.asarray(following - last <= _TIE * np.maximum(following, 1e-300))


def _training_rows(model: Any) -> Array:
    train = model._fit_X
    if not isinstance(train, np.ndarray):
        raise UnsupportedError(f"{type(model).__name__} fitted on a sparse matrix")
    return np.asarray(train, dtype=np.float32) if np.array_equal(train, train.astype(np.float32)) else train


def _metric(model: Any) -> str:
    metric = model.effective_metric_
    if metric in _EUCLIDEAN | _MANHATTAN:
        return str(metric)
    raise UnsupportedError(f"{type(model).__name__} with the metric {metric!r}")


def _euclidean(graph: Graph, rows: str, train: Array) -> str:
    """Add Euclidean distances ``[batch, n]`` by |x|^2 - 2xy + |y|^2, exactly 0 for equal rows."""
    others = _as_double(graph, np.ascontiguousarray(train.T))
    squares = graph.constant(np.einsum("nd,nd->n", train, train, dtype=np.float64)[None, :])
    axes = graph.constant(np.array([1], dtype=np.int64))
    own = graph.add("ReduceSum", graph.add("Mul", rows, rows), axes, keepdims=1)
    norms = graph.add("Add", own, squares)
    twice = graph.constant(np.array(-2.0))
    products = graph.add("Mul", graph.add("MatMul", rows, others), twice)
    squared = graph.add("Add", products, norms)
    noise = graph.add("Mul", norms, graph.constant(np.array(_SAME)))
    is_equal = graph.add("LessOrEqual", squared, noise)
    return graph.add("Sqrt", graph.add("Where", is_equal, graph.constant(np.array(0.0)), squared))


def _manhattan(graph: Graph, rows: str, train: Array) -> str:
    """Add Manhattan distances ``[batch, n]``, row by row: all at once would take ``batch x n x d`` numbers."""
    others = _as_double(graph, train)
    double = TensorProto.DOUBLE
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["axes"], value=axes),
            helper.make_node("Sub", [others, "row"], ["differences"]),
            helper.make_node("Abs", ["differences"], ["sizes"]),
            helper.make_node("ReduceSum", ["sizes", "axes"], ["distances"], keepdims=0),
        ],
        "distances_of_one_row",
        [helper.make_tensor_value_info("row", double, [train.shape[1]])],
        [helper.make_tensor_value_info("distances", double, [train.shape[0]])],
    )
    return graph.add("Scan", rows, body=body, num_scan_inputs=1)


def _as_double(graph: Graph, array: Array) -> str:
    """Add a float64 constant that takes float32's place in the file; the runtime folds the cast when it loads it."""
    if array.dtype == np.float32:
        return graph.add("Cast", graph.constant(array), to=TensorProto.DOUBLE)
    return graph.constant(array.astype(np.float64))


def _weights(graph: Graph, distances: str) -> str:
    """Add the neighbours' weights ``[batch, count, 1]``, one over the distance, scaled to a sum of one."""
    zero = graph.constant(np.array(0.0))
    is_same = graph.add("Cast", graph.add("Equal", distances, zero), to=TensorProto.DOUBLE)
    has_same = graph.add("Cast", graph.add("ReduceMax", is_same, axes=[1], keepdims=1), to=TensorProto.BOOL)
    # A row that is in the training data is decided by its equals alone.
    weights = graph.add("Where", has_same, is_same, graph.add("Reciprocal", distances))
    axes = graph.constant(np.array([1], dtype=np.int64))
    shares = graph.add("Div", weights, graph.add("ReduceSum", weights, axes, keepdims=1))
    return graph.add("Unsqueeze", shares, graph.constant(np.array([2], dtype=np.int64)))


def _vote(graph: Graph, nearest: str, weights: str | None, *, labels: Array, classes: int) -> str:
    """Add the share of each class among the neighbours, float32 ``[batch, classes]``."""
    found = graph.add("Gather", graph.constant(labels.astype(np.int64)), nearest)
    depth = graph.constant(np.array([classes], dtype=np.int64))
    votes = graph.add("OneHot", found, depth, graph.constant(np.array([0.0, 1.0], dtype=np.float32)), axis=-1)
    single = None if weights is None else graph.add("Cast", weights, to=TensorProto.FLOAT)
    return _combine(graph, votes, single)


def _mean(graph: Graph, nearest: str, weights: str | None, *, targets: Array) -> str:
    """Add the mean of the neighbours' targets, float32 ``[batch, 1]``."""
    found = graph.add("Gather", graph.constant(targets.astype(np.float64)), nearest)
    values = graph.add("Unsqueeze", found, graph.constant(np.array([2], dtype=np.int64)))
    return graph.add("Cast", _combine(graph, values, weights), to=TensorProto.FLOAT)


def _combine(graph: Graph, values: str, weights: str | None) -> str:
    """Add the weighted mean over the neighbours of ``[batch, count, k]``: ``[batch, k]``."""
    if weights is None:
        return graph.add("ReduceMean", values, axes=[1], keepdims=0)
    axes = graph.constant(np.array([1], dtype=np.int64))
    return graph.add("ReduceSum", graph.add("Mul", values, weights), axes, keepdims=0)
