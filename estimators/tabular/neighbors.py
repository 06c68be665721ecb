"""k nearest neighbors (scikit-learn), over growing samples of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from .algorithm import Matrix, Target, row_checkpoints
from .sklearn_model import SklearnAlgorithm


class NearestNeighbors(SklearnAlgorithm):
    """k nearest neighbors; the budget is the rows it remembers."""

    encoding: ClassVar[str] = "onehot"

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Remember more and more rows; see :meth:`Algorithm.steps`."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsClassifier if self.problem.is_classification else KNeighborsRegressor
        for rows, done in row_checkpoints(len(y), percent, problem=self.problem):
            self.model = kind(
                n_neighbors=min(self.settings["n_neighbors"], rows),
                weights=self.settings["weights"],
                p=self.settings["p"],
                n_jobs=self.problem.threads,
            )
            self.model.fit(np.asarray(X[:rows]), np.asarray(y[:rows]))
            yield done
