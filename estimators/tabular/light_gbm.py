"""LightGBM (Ke et al. 2017), boosted round by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .algorithm import Algorithm, Matrix, Problem, Target, checkpoints

FILE_NAME = "model.lightgbm.txt"


class LightGBM(Algorithm):
    """LightGBM; the budget is its boosting rounds."""

    booster: Any = None

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Add boosting rounds; see :meth:`Algorithm.steps`."""
        import lightgbm

        settings = dict(self.settings)
        total = settings.pop("n_estimators")
        parameters = {**settings, **self._objective(), **self._constants()}
        data = lightgbm.Dataset(np.ascontiguousarray(X), label=y, params=parameters)
        self.booster = lightgbm.Booster(parameters, data)
        finished = rounds = 0
        for target, done in checkpoints(total, percent):
            while rounds < target and not finished:
                finished = self.booster.update()  # True: no split is left that would help
                rounds += 1
            yield done

    def _objective(self) -> dict[str, Any]:
        if not self.problem.is_classification:
            return {"objective": "regression"}
        if self.problem.classes == 2:
            return {"objective": "binary"}
        return {"objective": "multiclass", "num_class": self.problem.classes}

    def _constants(self) -> dict[str, Any]:
        return {
            "bagging_freq": 1,
            "deterministic": True,
            "force_row_wise": True,  # else it times both layouts at the start and may choose differently each run
            "num_threads": self.problem.threads,
            "seed": self.problem.seed % 2**31,
            "verbosity": -1,
        }

    def predict_raw(self, X: Matrix) -> NDArray[np.float64]:
        """Map ``n x d`` features to probabilities ``n x k``, or to a prediction ``n x 1``."""
        raw = np.asarray(self.booster.predict(X, num_threads=self.problem.threads), dtype=np.float64)
        if not self.problem.is_classification:
            return raw.reshape(-1, 1)
        return np.column_stack([1.0 - raw, raw]) if self.problem.classes == 2 else raw

    @property
    def native_model(self) -> object:
        """The LightGBM booster."""
        return self.booster

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format."""
        (folder / FILE_NAME).write_text(self.booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], problem: Problem) -> Self:
        """Read LightGBM's own text format."""
        import lightgbm

        algorithm = cls(settings, problem)
        algorithm.booster = lightgbm.Booster(model_str=(folder / FILE_NAME).read_text(encoding="utf-8"))
        return algorithm
