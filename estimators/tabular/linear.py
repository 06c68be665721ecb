"""Logistic regression, ridge and elastic net (scikit-learn), trained on growing samples of the rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from .algorithm import Matrix, Target, row_checkpoints
from .sklearn_model import SklearnAlgorithm

_LBFGS_ITERATIONS = 500
# SAGA passes over scaled columns: more of them move the validation score of no table that we tried.
_SAGA_ITERATIONS = 100
_DESCENT_ITERATIONS = 1000


class Linear(SklearnAlgorithm):
    """A linear model; the budget is the rows it sees.

    ``regularization`` is the weight of the penalty against the summed loss of all rows, whatever the task and penalty.
    """

    encoding: ClassVar[str] = "onehot"

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Fit on more and more rows; see :meth:`Algorithm.steps`."""
        for rows, done in row_checkpoints(len(y), percent, problem=self.problem):
            fit = self._fit_classes if self.problem.is_classification else self._fit_values
            with warnings.catch_warnings():
                # The iterations are capped on purpose: an unconverged candidate is a candidate with its score.
                warnings.filterwarnings("ignore", message=".*(did not converge|failed to converge).*")
                self.model = fit(np.asarray(X[:rows], dtype=np.float64), np.asarray(y[:rows]))
            yield done

    def _fit_classes(self, X: np.ndarray[Any, Any], y: Target) -> Any:
        from sklearn.linear_model import LogisticRegression

        ratio = self.settings.get("penalty.elasticnet.l1_ratio", 0.0)
        sparse = self.settings["penalty"] == "elasticnet"
        return LogisticRegression(
            C=1.0 / self.settings["regularization"],
            l1_ratio=ratio if sparse else 0.0,
            solver="saga" if sparse else "lbfgs",
            max_iter=_SAGA_ITERATIONS if sparse else _LBFGS_ITERATIONS,
            random_state=self.problem.seed,
        ).fit(X, y)

    def _fit_values(self, X: np.ndarray[Any, Any], y: Target) -> Any:
        from sklearn.linear_model import ElasticNet, Ridge

        center, scale = float(y.mean()), float(y.std()) or 1.0
        strength = self.settings["regularization"]
        model: Any
        if self.settings["penalty"] == "elasticnet":
            model = ElasticNet(
                alpha=strength / len(y),  # scikit-learn divides the loss by the number of rows
                l1_ratio=self.settings["penalty.elasticnet.l1_ratio"],
                max_iter=_DESCENT_ITERATIONS,
                random_state=self.problem.seed,
            )
        else:
            model = Ridge(alpha=strength, random_state=self.problem.seed)
        model.fit(X, (y - center) / scale)
        # Fitted on the standardized target, so that one range of penalties suits every table; said in its own unit.
        model.coef_ = model.coef_ * scale
        model.intercept_ = model.intercept_ * scale + center
        return model
