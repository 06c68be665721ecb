"""``ImageEstimator``: the provisioned networks for images, behind one search space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from ...data.prepared import PreparedData
from ...data.tensor_planning import TensorPlan
from ...errors import BundleError, DataError
from ...files import write_text
from ...search.space import SearchSpace
from ..sdk import TaskEstimator, estimator
from ..tabular.scoring import classification_scores, regression_scores
from .network import Network, build_network
from .training import Images, Training, computing, fit, predict

STATE_FILE, WEIGHTS_FILE = "estimator.json", "weights.safetensors"
_FORMAT = 1


class ImageEstimator(TaskEstimator):
    """Train one network of the family on a prepared set of images.

    ``run_epochs`` counts epochs. All sizes of images are taken that the data has; they are not scaled.

    Attributes:
        network: The network.
        classes: The class labels in the order of the probabilities; ``None`` for regression.
        tensor_plan: How raw images become what the network reads.
    """

    search_space: ClassVar[SearchSpace | None] = SearchSpace.from_yaml(Path(__file__).with_name("space.yaml"))
    primary_metric: ClassVar[str] = "accuracy"
    encoding = "tensor"

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        self.data = PreparedData.load(Path(data_path))
        self.classes: list[Any] | None = self.data.classes
        self.tensor_plan: TensorPlan = self.data.plan("tensor")
        if self.tensor_plan.kind != "image":
            raise DataError(
                f"{self.data.source} holds {self.data.profile.contents}; this estimator reads images.",
                hint="Images are arrays n x h x w, n x h x w x c or n x c x h x w.",
            )
        with computing(self.threads, seed=self.seed):
            self.network = self._build(model_args)

    def _build(self, arguments: Mapping[str, Any]) -> Network:
        channels, height, width = self.tensor_plan.shape
        return build_network(arguments, (channels, height, width), classes=len(self.classes or ()))

    @property
    def native_model(self) -> object:
        """The torch module: normalized images to probabilities or a prediction."""
        return self.network

    @estimator.wrap
    def train(self) -> None:
        """Train epoch by epoch, reporting the validation scores after each."""
        X, y = self.data.arrays("train", self.encoding)
        training = Training.from_arguments(self.model_args, seed=self.seed, threads=self.threads)
        for epoch in fit(self.network, X, y, training, epochs=self.run_epochs):
            self.report(epoch, self._scores("valid"))

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        """Return the validation scores; in a trainer run those on the test split too, as ``test_<metric>``."""
        scores = self._scores("valid")
        if self.is_trainer and self.data.sizes["test"] > 0:
            scores |= {f"test_{name}": value for name, value in self._scores("test").items()}
        return scores

    def predict_raw(self, X: Images) -> NDArray[np.float64]:
        """Map ``n x c x h x w`` normalized images to probabilities ``n x k``, or to a prediction ``n x 1``."""
        return predict(self.network, X, threads=self.threads)

    @estimator.wrap
    def predict(self, batch: NDArray[Any]) -> NDArray[Any]:
        """Predict raw images, in the shape and type of the training data.

        Args:
            batch: ``n`` raw images.

        Returns:
            ``n`` class labels or values.
        """
        raw = self.predict_raw(self.tensor_plan.transform(batch))
        if self.classes is None:
            return raw.reshape(-1)
        labels = np.empty(len(self.classes), dtype=object)
        labels[:] = self.classes
        return np.asarray(labels[raw.argmax(axis=1)].tolist())

    @estimator.wrap
    def save(self, path: str | Path) -> None:
        """Write the weights and what predicting needs; ``estimator.json`` comes last and marks it complete."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.contiguous() for name, value in self.network.state_dict().items()}, folder / WEIGHTS_FILE
        )
        state = {
            "format": _FORMAT,
            "arguments": dict(self.arguments),
            "seed": self.seed,
            "classes": self.classes,
            "tensor_plan": self.tensor_plan.to_dict(),
        }
        write_text(folder / STATE_FILE, json.dumps(state, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a trained estimator back; it predicts, without the data it was trained on.

        Raises:
            BundleError: ``path`` holds no estimator of this family.
        """
        file = Path(path) / STATE_FILE
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as e:
            raise BundleError(f"{path} holds no trained estimator: it has no {STATE_FILE}.") from e
        except json.JSONDecodeError as e:
            raise BundleError(f"{file} is damaged: {e}.") from e
        if state.get("format") != _FORMAT or "tensor_plan" not in state:
            raise BundleError(
                f"{file} is not of the image family in format {_FORMAT} (its format is {state.get('format')!r})."
            )
        instance = cls.__new__(cls)  # no data is needed to predict, so __init__ is not run
        arguments = state["arguments"]
        vars(instance).update(arguments=arguments, seed=state["seed"], threads=1, save_dir=None, stopped=False)
        vars(instance).update({name: arguments[name] for name in ("run_epochs", "data_path", "is_trainer")})
        instance.classes = state["classes"]
        instance.tensor_plan = TensorPlan.from_dict(state["tensor_plan"])
        with computing(1, seed=instance.seed):
            instance.network = instance._build(arguments)
        instance.network.load_state_dict(load_file(Path(path) / WEIGHTS_FILE))
        instance.network.eval()
        return instance

    def _scores(self, split: str) -> dict[str, float]:
        X, y = self.data.arrays(split, self.encoding)
        raw = self.predict_raw(X)
        return regression_scores(y, raw) if self.classes is None else classification_scores(y, raw)
