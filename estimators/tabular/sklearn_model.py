"""What the scikit-learn algorithms share: prediction, and files by skops, which hold no code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import BundleError
from .algorithm import Algorithm, Matrix, Problem

# Compiled parts of scikit-learn's own models that skops does not take for granted. Nothing else is loaded.
_TRUSTED = frozenset(
    {
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
    }
)

FILE_NAME = "model.skops"


class SklearnAlgorithm(Algorithm):
    """An algorithm whose model is one scikit-learn estimator."""

    model: Any = None

    def predict_raw(self, X: Matrix) -> NDArray[np.float64]:
        """Map ``n x d`` features to probabilities ``n x k``, or to a prediction ``n x 1``."""
        if self.problem.is_classification:
            return np.asarray(self.model.predict_proba(X), dtype=np.float64)
        return np.asarray(self.model.predict(X), dtype=np.float64).reshape(-1, 1)

    @property
    def native_model(self) -> object:
        """The fitted scikit-learn estimator."""
        return self.model

    def save(self, folder: Path) -> None:
        """Write ``model.skops``."""
        import skops.io

        skops.io.dump(self.model, folder / FILE_NAME, compression=zipfile.ZIP_DEFLATED, compresslevel=1)

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], problem: Problem) -> Self:
        """Read ``model.skops``.

        Raises:
            BundleError: The file holds types that no model of this family has.
        """
        import skops.io

        file = folder / FILE_NAME
        foreign = sorted(set(skops.io.get_untrusted_types(file=file)) - _TRUSTED)
        if foreign:
            raise BundleError(f"{file} is not a model of this family: it holds {', '.join(foreign)}.")
        algorithm = cls(settings, problem)
        algorithm.model = skops.io.load(file, trusted=sorted(_TRUSTED))
        return algorithm
