"""Random forests and extremely randomized trees (scikit-learn), grown tree by tree with a warm start."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import ClassVar

from .algorithm import Matrix, Target, checkpoints
from .sklearn_model import SklearnAlgorithm


class _Forest(SklearnAlgorithm):
    """A forest; the budget is its trees."""

    _names: ClassVar[tuple[str, str]]  # of the classifier and of the regressor in sklearn.ensemble

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Add trees; see :meth:`Algorithm.steps`."""
        import sklearn.ensemble

        settings = dict(self.settings)
        total = settings.pop("n_estimators")
        kind = getattr(sklearn.ensemble, self._names[0 if self.problem.is_classification else 1])
        self.model = kind(
            **settings, n_estimators=1, warm_start=True, random_state=self.problem.seed, n_jobs=self.problem.threads
        )
        for trees, done in checkpoints(total, percent):
            self.model.set_params(n_estimators=trees)
            with warnings.catch_warnings():
                # A warm start keeps the trees there are; that is what is wanted.
                warnings.filterwarnings("ignore", message="Warm-start fitting without increasing")
                self.model.fit(X, y)
            yield done


class RandomForest(_Forest):
    """Bagged trees (Breiman 2001)."""

    _names = ("RandomForestClassifier", "RandomForestRegressor")


class ExtraTrees(_Forest):
    """Trees with random cut points on all rows (Geurts, Ernst and Wehenkel 2006)."""

    _names = ("ExtraTreesClassifier", "ExtraTreesRegressor")
