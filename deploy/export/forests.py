"""scikit-learn's tree ensembles as flat arrays: random forests, extra trees, single trees, histogram boosting."""

from __future__ import annotations

from typing import Any

import numpy as np

from .exporter import UnsupportedError
from .graph import Graph
from .heads import Link, add_link
from .trees import Tree, add_forest

Array = np.ndarray[Any, Any]

# The raw sum of histogram boosting becomes a prediction by the inverse of its loss's link.
_LINKS: dict[str, Link] = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "quantile": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "log_loss": "softmax",
}


def add_averaging_forest(graph: Graph, model: Any) -> str:
    """Add a random forest, extra trees or a single decision tree: the mean of the trees' leaves.

    Args:
        graph: The graph.
        model: A fitted scikit-learn ensemble, or a tree.

    Raises:
        UnsupportedError: It predicts several targets.
    """
    fitted = [tree.tree_ for tree in getattr(model, "estimators_", [model])]
    if getattr(model, "n_outputs_", 1) != 1:
        raise UnsupportedError(f"{type(model).__name__} with several targets")
    is_classifier = hasattr(model, "classes_")
    trees = [_averaged_tree(tree, is_classifier=is_classifier) for tree in fitted]
    width = trees[0].leaf_values.shape[1]
    mean = add_forest(graph, trees, base=np.zeros(width), average=True)
    # Of two classes only the second is summed: half the leaf entries.
    return add_link(graph, mean, link="complement" if is_classifier and len(model.classes_) == 2 else "identity")


def _averaged_tree(tree: Any, *, is_classifier: bool) -> Tree:
    """Return one fitted tree; a classifier's leaves as probabilities, of two classes only the second's."""
    is_leaf = tree.children_left < 0
    values = tree.value[is_leaf, 0, :]
    if is_classifier:
        values = values / values.sum(axis=1, keepdims=True)
        values = values[:, 1:] if values.shape[1] == 2 else values
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        is_leaf=is_leaf,
        missing_left=tree.missing_go_to_left.astype(bool),
        leaf_values=values,
    )


def add_histogram_boosting(graph: Graph, model: Any) -> str:
    """Add a HistGradientBoostingClassifier or -Regressor.

    Args:
        graph: The graph.
        model: The fitted model.

    Raises:
        UnsupportedError: It splits on sets of categories, or has a loss that is not known here.
    """
    if getattr(model, "is_categorical_", None) is not None:
        raise UnsupportedError(
            f"{type(model).__name__} with categorical_features",
            hint="Fit it on category codes as numbers (categorical_features=None).",
        )
    link = _LINKS.get(model.loss if isinstance(model.loss, str) else "")
    if link is None:
        raise UnsupportedError(f"{type(model).__name__} with loss {model.loss!r}")
    # What a fitted model is made of is not public; skl2onnx reads the same attributes.
    rounds = model._predictors
    base = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    trees = [_boosted_tree(tree.nodes, target) for trees in rounds for target, tree in enumerate(trees)]
    total = add_forest(graph, trees, base=base)
    return add_link(graph, total, link="sigmoid" if link == "softmax" and len(base) == 1 else link)


def _boosted_tree(nodes: Array, target: int) -> Tree:
    """Return one tree of histogram boosting from its structured array of nodes."""
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        is_leaf=is_leaf,
        missing_left=nodes["missing_go_to_left"].astype(bool),
        leaf_values=nodes["value"][is_leaf, None],
        target=target,
    )
