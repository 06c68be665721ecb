"""A small neural network as an estimator bundle: any training script becomes searchable in this shape."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from omniforge import TaskEstimator, estimator
from omniforge.data import FeaturePlan, PreparedData

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def build(inputs: int, outputs: int, model_args: dict) -> nn.Sequential:
    """Build the network that a configuration describes; it ends in probabilities."""
    layers: list[nn.Module] = []
    for index in range(model_args["num_layers"]):
        width = model_args[f"num_layers[{index}].width"]
        layers += [nn.Linear(inputs, width), ACTIVATIONS[model_args["activation"]](), nn.Dropout(model_args["dropout"])]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs), nn.Softmax(dim=1))


class DigitsMLP(TaskEstimator):
    """Classify the rows of a table."""

    encoding = "onehot"  # which matrix of the prepared data the network reads: scaled numbers and one-hot categories

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.data = PreparedData.load(Path(data_path))
        self.classes = list(self.data.classes)
        self.feature_plan = self.data.plan(self.encoding)
        self.shape = (self.data.arrays("train", self.encoding)[0].shape[1], len(self.classes))
        torch.set_num_threads(self.threads)
        self.model = build(*self.shape, model_args)  # torch is seeded already

    @estimator.wrap
    def train(self) -> None:
        features, labels = (torch.from_numpy(np.array(part)) for part in self.data.arrays("train", self.encoding))
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self.model_args["learning_rate"])
        for epoch in range(1, self.run_epochs + 1):
            self.model.train()
            for rows in torch.randperm(len(features)).split(64):
                optimizer.zero_grad()
                logits = self.model[:-1](features[rows])
                nn.functional.cross_entropy(logits, labels[rows]).backward()
                optimizer.step()
            self.report(epoch, self.calculate_score())  # a poor candidate is stopped here

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        features, labels = self.data.arrays("valid", self.encoding)
        probabilities = self.predict_raw(features)
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
    def predict(self, batch) -> np.ndarray:
        """Predict the class of raw rows (a data frame), or of encoded features."""
        X = batch if isinstance(batch, np.ndarray) else self.feature_plan.transform(batch)
        return np.asarray(self.classes)[self.predict_raw(X).argmax(axis=1)]

    @estimator.wrap
    def save(self, path: str | Path) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.model.state_dict(), folder / "weights.safetensors")
        state = {
            "model_args": self.model_args,
            "shape": self.shape,
            "classes": self.classes,
            "feature_plan": self.feature_plan.to_dict(),
        }
        (folder / "model.json").write_text(json.dumps(state))

    @classmethod
    def load(cls, path: str | Path) -> "DigitsMLP":
        folder = Path(path)
        state = json.loads((folder / "model.json").read_text())
        loaded = cls.__new__(cls)  # without __init__: no data is needed to predict
        loaded.classes = state["classes"]
        loaded.feature_plan = FeaturePlan.from_dict(state["feature_plan"])
        loaded.model = build(*state["shape"], state["model_args"])
        loaded.model.load_state_dict(load_file(folder / "weights.safetensors"))
        return loaded
