"""An estimator whose configuration says how it fails; what a test and its trainings tell each other is in a folder.

That folder is the environment variable ``FAULTS``:

- ``hold-after``: a number; once so many searched candidates have passed, the next ones wait while this file is there.
- ``held-<pid>``, ``passed-<pid>``: a training that waits, that has passed.
- ``small``: the path of a folder where files have to be small, for want of a disk that is.
- ``disk/``: where the fault ``fill`` writes.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from omniforge import TaskEstimator, estimator
from omniforge.data import PreparedData

SEARCHED = 2
STEP_BYTES = 32 * 2**20
SAVED_BYTES = 4 * 2**20


class FaultyEstimator(TaskEstimator):
    encoding = "onehot"

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.folder = Path(os.environ["FAULTS"])
        self.fault = model_args["fault"]
        self.data = PreparedData.load(data_path)
        self.native_model = LogisticRegression(C=model_args["strength"])

    def train(self) -> None:
        if self.run_epochs == SEARCHED:
            self._hold()
        if self.fault != "none":
            getattr(self, f"_{self.fault}")()
        self.native_model.fit(*self.data.arrays("train", self.encoding))
        if self.run_epochs == SEARCHED:
            (self.folder / f"passed-{os.getpid()}").touch()

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        return {"accuracy": float(self.native_model.score(*self.data.arrays("valid", self.encoding)))}

    def predict_raw(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.native_model.predict_proba(X)

    def save(self, path: str | Path) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        self._write(Path(path) / "weights")

    def _hold(self) -> None:
        gate = self.folder / "hold-after"
        while gate.exists() and len(list(self.folder.glob("passed-*"))) >= int(gate.read_text()):
            (self.folder / f"held-{os.getpid()}").touch()
            time.sleep(0.02)

    def _write(self, path: Path) -> None:
        small = self.folder / "small"
        if small.exists() and path.is_relative_to(small.read_text()):
            resource.setrlimit(resource.RLIMIT_FSIZE, (SAVED_BYTES // 4, resource.RLIM_INFINITY))
        path.write_bytes(bytes(SAVED_BYTES))

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _eat(self) -> None:
        eaten = []
        while True:
            eaten.append(np.ones(STEP_BYTES // 8))
            time.sleep(0.02)

    def _hang(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)

    def _fill(self) -> None:
        self._write(self.folder / "disk" / "checkpoint")
