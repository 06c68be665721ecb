"""Gradient boosting on histograms (scikit-learn), grown round by round with a warm start."""

from __future__ import annotations

from collections.abc import Iterator

from .algorithm import Matrix, Target, checkpoints
from .sklearn_model import SklearnAlgorithm


class HistGradientBoosting(SklearnAlgorithm):
    """Histogram gradient boosting; the budget is its boosting rounds."""

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Add boosting rounds; see :meth:`Algorithm.steps`."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        settings = dict(self.settings)
        total = settings.pop("max_iter")
        kind = HistGradientBoostingClassifier if self.problem.is_classification else HistGradientBoostingRegressor
        self.model = kind(**settings, warm_start=True, early_stopping=False, random_state=self.problem.seed)
        for rounds, done in checkpoints(total, percent):
            self.model.set_params(max_iter=rounds)
            self.model.fit(X, y)
            yield done
