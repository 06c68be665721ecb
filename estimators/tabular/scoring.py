"""The metrics of ``estimators.metrics`` computed from predictions.

They are scored at every step of every training, so they share one confusion matrix and one ranking: a tenth of a
millisecond for a few hundred rows, where one scikit-learn call per metric takes several. The tests hold them equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def classification_scores(y: NDArray[Any], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Score class probabilities.

    Args:
        y: ``n`` class indices.
        probabilities: ``n x k``, not negative; rows sum to 1, if only to within the rounding of float32.

    Returns:
        Value by metric. ``roc_auc`` is that of class 1 when there are two, else the mean over one-versus-rest; it is
        absent when no class has both rows that belong to it and rows that do not.
    """
    count, classes = probabilities.shape
    labels = probabilities.argmax(axis=1)
    confusion = np.bincount(y * classes + labels, minlength=classes * classes).reshape(classes, classes)
    hits, actual, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    seen, named = actual > 0, actual + predicted > 0
    certainty = np.clip(probabilities[np.arange(count), y] / probabilities.sum(axis=1), np.finfo(np.float64).eps, 1.0)
    scores = {
        "accuracy": float(hits.sum() / count),
        "balanced_accuracy": float(np.mean(hits[seen] / actual[seen])),
        "f1_macro": float(np.mean(2 * hits[named] / (actual + predicted)[named])),
        "log_loss": float(-np.log(certainty).mean()),
    }
    area = _area_under_roc(probabilities, actual, y)
    return scores if area is None else {**scores, "roc_auc": area}


def regression_scores(y: NDArray[np.float64], prediction: NDArray[np.float64]) -> dict[str, float]:
    """Score predictions ``n x 1`` of values ``n``. ``r2`` is absent when all values are the same."""
    error = np.asarray(prediction, dtype=np.float64).reshape(-1) - y
    scores = {"rmse": math.sqrt(float(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}
    spread = float(np.mean((y - y.mean()) ** 2))
    if spread > 0:
        scores["r2"] = 1.0 - float(np.mean(error**2)) / spread
    return scores


def _area_under_roc(
    probabilities: NDArray[np.float64], actual: NDArray[np.int64], y: NDArray[np.int64]
) -> float | None:
    """Return the area under the ROC curve, from ranks (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    count, classes = probabilities.shape
    columns = [1] if classes == 2 else list(range(classes))
    usable = [column for column in columns if 0 < actual[column] < count]
    if not usable:
        return None
    ranks = rankdata(probabilities[:, usable], axis=0)
    members = (y[:, None] == np.asarray(usable)).astype(np.float64)
    inside = actual[usable].astype(np.float64)
    above = (ranks * members).sum(axis=0) - inside * (inside + 1) / 2
    return float(np.mean(above / (inside * (count - inside))))
