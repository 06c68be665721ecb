"""A multilayer perceptron (torch), trained epoch by epoch with AdamW and a one-cycle learning rate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .algorithm import Algorithm, Matrix, Problem, Target, checkpoints

WEIGHTS_FILE, SHAPE_FILE = "model.safetensors", "model.shape.json"
_ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
_PREDICT_ROWS = 65_536
_MAX_GRADIENT_NORM = 5.0


class Perceptron(nn.Module):
    """Fully connected layers, and what turns their output into a prediction.

    Args:
        inputs: The number of features ``d``.
        outputs: The number of classes ``k``; 1 for regression.
        settings: ``layers``, ``width``, ``activation``, ``dropout``.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int, settings: Mapping[str, Any]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = inputs
        for _ in range(settings["layers"]):
            layers += [nn.Linear(width, settings["width"]), _ACTIVATIONS[settings["activation"]]()]
            layers += [nn.Dropout(settings["dropout"])]
            width = settings["width"]
        self.body = nn.Sequential(*layers, nn.Linear(width, outputs))
        self.is_classifier = outputs > 1
        self.register_buffer("center", torch.zeros(1))  # of the target of a regression
        self.register_buffer("scale", torch.ones(1))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``n x d`` features to probabilities ``n x k``, or to a prediction ``n x 1``."""
        raw: Tensor = self.body(features)
        return torch.softmax(raw, dim=1) if self.is_classifier else raw * self.scale + self.center


class MLP(Algorithm):
    """A multilayer perceptron; the budget is its epochs."""

    encoding: ClassVar[str] = "onehot"
    network: Perceptron

    def steps(self, X: Matrix, y: Target, percent: int) -> Iterator[int]:
        """Train epochs; see :meth:`Algorithm.steps`."""
        features = torch.from_numpy(np.array(X, dtype=np.float32))
        with _computing(self.problem):
            self.network = Perceptron(features.shape[1], max(self.problem.classes, 1), self.settings)
        marks = checkpoints(self.settings["epochs"], percent)
        batches = math.ceil(len(features) / self.settings["batch_size"])
        optimizer = self._optimizer()
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.settings["learning_rate"], total_steps=marks[-1][0] * batches + 1
        )
        targets, loss = self._targets(y), self._loss()
        generator = torch.Generator().manual_seed(self.problem.seed)
        epoch = 0
        for epochs, done in marks:
            for _ in range(epoch, epochs):
                with _computing(self.problem, salt=epoch):
                    self.network.train()
                    order = torch.randperm(len(features), generator=generator)
                    for rows in torch.split(order, self.settings["batch_size"]):
                        optimizer.zero_grad()
                        error = loss(self.network.body(features[rows]), targets[rows])
                        error.backward()
                        nn.utils.clip_grad_norm_(self.network.parameters(), _MAX_GRADIENT_NORM)
                        optimizer.step()
                        schedule.step()
                epoch += 1
                if not math.isfinite(error.item()):
                    raise FloatingPointError(f"the loss became {error.item()} in epoch {epoch}")
            self.network.eval()
            yield done

    def _optimizer(self) -> torch.optim.Optimizer:
        decay = self.settings["weight_decay"]
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        biases = [p for p in self.network.parameters() if p.ndim == 1]
        groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.settings["learning_rate"], fused=True)

    def _targets(self, y: Target) -> Tensor:
        if self.problem.is_classification:
            return torch.from_numpy(np.array(y, dtype=np.int64))
        self.network.center.fill_(float(y.mean()))
        self.network.scale.fill_(float(y.std()) or 1.0)
        standardized = (np.array(y, dtype=np.float64) - y.mean()) / (float(y.std()) or 1.0)
        return torch.from_numpy(standardized.astype(np.float32)).unsqueeze(1)

    def _loss(self) -> nn.Module:
        return nn.CrossEntropyLoss() if self.problem.is_classification else nn.MSELoss()

    def predict_raw(self, X: Matrix) -> NDArray[np.float64]:
        """Map ``n x d`` features to probabilities ``n x k``, or to a prediction ``n x 1``."""
        features = torch.from_numpy(np.array(X, dtype=np.float32))
        with torch.inference_mode(), _computing(self.problem):
            parts = [self.network(part) for part in torch.split(features, _PREDICT_ROWS)]
        return torch.cat(parts).numpy().astype(np.float64)

    @property
    def native_model(self) -> object:
        """The torch module; it gives probabilities or predictions in the unit of the target."""
        return self.network

    def save(self, folder: Path) -> None:
        """Write the weights by safetensors, and the shape of the network beside them."""
        save_file(self.network.state_dict(), folder / WEIGHTS_FILE)
        shape = {"inputs": next(self.network.parameters()).shape[1], "outputs": max(self.problem.classes, 1)}
        (folder / SHAPE_FILE).write_text(json.dumps(shape), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], problem: Problem) -> Self:
        """Read what :meth:`save` wrote."""
        shape = json.loads((folder / SHAPE_FILE).read_text(encoding="utf-8"))
        algorithm = cls(settings, problem)
        algorithm.network = Perceptron(shape["inputs"], shape["outputs"], settings)
        algorithm.network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        algorithm.network.eval()
        return algorithm


@contextmanager
def _computing(problem: Problem, *, salt: int = 0) -> Iterator[None]:
    """Compute with the run's threads and from its seed, and leave torch's global state as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(problem.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(problem.seed * 1_000_003 + salt)
            yield
    finally:
        torch.set_num_threads(threads)
