"""An estimator whose training takes 0.2 s, whatever the machine."""

from __future__ import annotations

import time
from typing import Any

from sklearn.linear_model import LogisticRegression

from omniforge import TaskEstimator, estimator
from omniforge.data import PreparedData

TASK_S = 0.2


class SleepingEstimator(TaskEstimator):
    encoding = "onehot"

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.begun = time.monotonic()
        self.data = PreparedData.load(data_path)
        self.native_model = LogisticRegression(C=model_args["strength"], max_iter=50)

    def train(self) -> None:
        features, labels = self.data.arrays("train", self.encoding)
        self.native_model.fit(features, labels)

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        features, labels = self.data.arrays("valid", self.encoding)
        score = float(self.native_model.score(features, labels))
        time.sleep(max(0.0, TASK_S - (time.monotonic() - self.begun)))
        return {"accuracy": score}

    def predict_raw(self, batch: Any) -> Any:
        return self.native_model.predict_proba(batch)
