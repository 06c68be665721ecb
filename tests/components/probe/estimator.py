"""A logistic regression that is fitted, or an act that goes wrong, as the configuration says."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from omniforge import TaskEstimator, estimator
from omniforge.data import PreparedData

CHUNK_BYTES = 32 * 2**20


class Probe(TaskEstimator):
    encoding = "onehot"

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.data = PreparedData.load(data_path)
        self.native_model = LogisticRegression(C=model_args["strength"])

    def train(self) -> None:
        getattr(self, f"_{self.model_args['act']}")()
        for epoch in range(1, self.run_epochs + 1):
            self.native_model.set_params(max_iter=25 * epoch).fit(*self.data.arrays("train", self.encoding))
            self.report(epoch, self.calculate_score())

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        return {"accuracy": float(self.native_model.score(*self.data.arrays("valid", self.encoding)))}

    def predict_raw(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        probabilities = self.native_model.predict_proba(X)
        return probabilities[:, ::-1] if self.model_args["act"] == "lie" else probabilities

    def save(self, path: str | Path) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        np.save(Path(path) / "weights.npy", self.native_model.coef_)

    def _fit(self) -> None:
        """Nothing goes wrong."""

    _lie = _fit  # but what it predicts is not what its model says

    def _refuse(self) -> None:
        raise RuntimeError("I would rather not")

    def _leave(self) -> None:
        os._exit(3)

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _eat(self) -> None:
        eaten = []
        while True:
            eaten.append(np.ones(CHUNK_BYTES // 8))
            time.sleep(0.02)

    def _hang(self) -> None:
        while True:
            time.sleep(1)

    def _fill(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _tire(self) -> None:
        if self.is_trainer:
            raise RuntimeError("too much for me")
