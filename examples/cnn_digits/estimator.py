"""A small CNN as an estimator bundle: how a network of your own is searched for accuracy and for latency at once."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from omniforge import TaskEstimator, estimator
from omniforge.data import PreparedData, TensorPlan

from .network import build

BATCH = 64


class CNNDigits(TaskEstimator):
    """Classify small images."""

    encoding = "tensor"  # what of the prepared data the network reads: normalized images, n x c x h x w

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.data = PreparedData.load(Path(data_path))
        self.classes = list(self.data.classes)
        self.plan = self.data.plan(self.encoding)
        torch.set_num_threads(self.threads)
        self.model = build(self.plan.shape, len(self.classes), model_args)  # torch is seeded already

    @estimator.wrap
    def train(self) -> None:
        images, labels = (torch.from_numpy(np.array(part)) for part in self.data.arrays("train", self.encoding))
        rate, steps = self.model_args["learning_rate"], self.run_epochs * -(-len(images) // BATCH)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
        for epoch in range(1, self.run_epochs + 1):
            self.model.train()
            for rows in torch.randperm(len(images)).split(BATCH):
                optimizer.zero_grad()
                logits = self.model[:-1](images[rows])
                nn.functional.cross_entropy(logits, labels[rows]).backward()
                optimizer.step()
                schedule.step()
            self.report(epoch, self.calculate_score())  # a poor candidate is stopped here

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        images, labels = self.data.arrays("valid", self.encoding)
        probabilities = self.predict_raw(images)
        likelihood = probabilities[np.arange(len(labels)), labels].clip(1e-12)
        return {
            "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
            "log_loss": float(-np.log(likelihood).mean()),
        }

    # The rest makes the model deployable. These two and `encoding` are all that the export to ONNX needs.
    @property
    def native_model(self) -> nn.Module:
        return self.model

    def predict_raw(self, X: np.ndarray) -> np.ndarray:
        self.model.eval()
        with torch.inference_mode():
            return self.model(torch.from_numpy(np.array(X, dtype=np.float32))).numpy()

    @estimator.wrap
    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Predict the class of raw images, in the shape and type of the data."""
        return np.asarray(self.classes)[self.predict_raw(self.plan.transform(batch)).argmax(axis=1)]

    @estimator.wrap
    def save(self, path: str | Path) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.model.state_dict(), folder / "weights.safetensors")
        state = {"model_args": self.model_args, "classes": self.classes, "plan": self.plan.to_dict()}
        (folder / "model.json").write_text(json.dumps(state))

    @classmethod
    def load(cls, path: str | Path) -> "CNNDigits":
        folder = Path(path)
        state = json.loads((folder / "model.json").read_text())
        loaded = cls.__new__(cls)  # without __init__: no data is needed to predict
        loaded.classes = state["classes"]
        loaded.plan = TensorPlan.from_dict(state["plan"])
        loaded.model = build(loaded.plan.shape, len(loaded.classes), state["model_args"])
        loaded.model.load_state_dict(load_file(folder / "weights.safetensors"))
        return loaded
