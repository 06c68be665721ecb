"""``TabularEstimator``: the provisioned algorithms for tables, behind one search space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...data.planning import FeaturePlan
from ...data.prepared import PreparedData
from ...errors import BundleError, DataError, SpaceError
from ...files import write_text
from ...search.space import SearchSpace
from ..sdk import TaskEstimator, estimator
from .algorithm import ALGORITHMS, Algorithm, Matrix, Problem
from .scoring import classification_scores, regression_scores

if TYPE_CHECKING:
    import pandas as pd

STATE_FILE = "estimator.json"
_FORMAT = 1


class TabularEstimator(TaskEstimator):
    """Train one algorithm of the family on a prepared data set.

    ``run_epochs`` is the percentage of the algorithm's own full budget, 1 to 100: of its boosting rounds, trees or
    epochs (which are hyperparameters), or of the rows for those that learn in one go.

    Attributes:
        algorithm: The chosen algorithm.
        classes: The class labels in the order of the probabilities; ``None`` for regression.
    """

    search_space: ClassVar[SearchSpace | None] = SearchSpace.from_yaml(Path(__file__).with_name("space.yaml"))
    primary_metric: ClassVar[str] = "accuracy"

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
        if run_epochs > 100:
            raise SpaceError(f"run_epochs = {run_epochs}: expected a percentage, 1 to 100.")
        self.data = PreparedData.load(Path(data_path))
        self.task: str = self.data.task
        self.classes: list[Any] | None = None if self.data.classes is None else list(self.data.classes)
        self.algorithm = _algorithm(model_args, self._problem())
        self.feature_plan: FeaturePlan = self.data.plan(self.encoding)

    def _problem(self) -> Problem:
        return Problem(self.task, len(self.classes or ()), seed=self.seed, threads=self.threads)

    @property
    def encoding(self) -> str:
        """Which matrix of the prepared data the algorithm reads."""
        return self.algorithm.encoding

    @property
    def native_model(self) -> object:
        """The fitted model as scikit-learn, LightGBM or torch knows it."""
        return self.algorithm.native_model

    @estimator.wrap
    def train(self) -> None:
        """Train step by step, reporting the validation scores after each."""
        X, y = self.data.arrays("train", self.encoding)
        self._check_classes(y)
        with _computing(self.threads):
            for percent in self.algorithm.steps(X, y, self.run_epochs):
                self.report(percent, self._scores("valid"))

    @estimator.wrap
    def calculate_score(self) -> dict[str, float]:
        """Return the validation scores; in a trainer run those on the test split too, as ``test_<metric>``."""
        with _computing(self.threads):
            scores = self._scores("valid")
            if self.is_trainer and self.data.sizes["test"] > 0:
                scores |= {f"test_{name}": value for name, value in self._scores("test").items()}
        return scores

    def predict_raw(self, X: Matrix) -> NDArray[np.float64]:
        """Map ``n x d`` features, encoded, to probabilities ``n x k`` or a prediction ``n x 1``."""
        return self.algorithm.predict_raw(X)

    @estimator.wrap
    def predict(self, batch: Matrix | pd.DataFrame) -> NDArray[Any]:
        """Predict rows.

        Args:
            batch: Raw rows as a data frame with the columns of the training data, or ``n x d`` encoded features.

        Returns:
            ``n`` class labels or values.
        """
        X = batch if isinstance(batch, np.ndarray) else self.feature_plan.transform(batch)
        raw = self.predict_raw(np.asarray(X, dtype=np.float32))
        if self.classes is None:
            return raw.reshape(-1)
        labels = np.empty(len(self.classes), dtype=object)
        labels[:] = self.classes
        return np.asarray(labels[raw.argmax(axis=1)].tolist())

    @estimator.wrap
    def save(self, path: str | Path) -> None:
        """Write the model and what predicting needs; ``estimator.json`` comes last and marks it complete."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.algorithm.save(folder)
        state = {
            "format": _FORMAT,
            "arguments": dict(self.arguments),
            "seed": self.seed,
            "task": self.task,
            "classes": self.classes,
            "feature_plan": self.feature_plan.to_dict(),
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
        if state.get("format") != _FORMAT:
            raise BundleError(f"{file} has format {state.get('format')!r}; this version reads format {_FORMAT}.")
        return cls._restore(state, Path(path))

    @classmethod
    def _restore(cls, state: Mapping[str, Any], folder: Path) -> Self:
        instance = cls.__new__(cls)  # no data is needed to predict, so __init__ is not run
        arguments = state["arguments"]
        vars(instance).update(arguments=arguments, seed=state["seed"], threads=1, save_dir=None, stopped=False)
        vars(instance).update({name: arguments[name] for name in ("run_epochs", "data_path", "is_trainer")})
        instance.task, instance.classes = state["task"], state["classes"]
        instance.feature_plan = FeaturePlan.from_dict(state["feature_plan"])
        unfitted = _algorithm(arguments, instance._problem())
        instance.algorithm = type(unfitted).load(folder, unfitted.settings, unfitted.problem)
        return instance

    def _scores(self, split: str) -> dict[str, float]:
        X, y = self.data.arrays(split, self.encoding)
        raw = self.predict_raw(X)
        return regression_scores(y, raw) if self.classes is None else classification_scores(y, raw)

    def _check_classes(self, y: NDArray[Any]) -> None:
        missing = [label for index, label in enumerate(self.classes or ()) if not np.any(y == index)]
        if missing:
            raise DataError(
                f"Class {missing[0]!r} has no row in the training split.",
                hint="Give each class more rows, or drop those classes from the data.",
            )


def _algorithm(arguments: Mapping[str, Any], problem: Problem) -> Algorithm:
    """Make the chosen algorithm with its own branch of the configuration, stripped of the branch's path."""
    name = arguments["algorithm"]
    prefix = f"algorithm.{name}."
    settings = {path.removeprefix(prefix): value for path, value in arguments.items() if path.startswith(prefix)}
    return ALGORITHMS.get(name)(settings, problem)


@contextmanager
def _computing(threads: int) -> Iterator[None]:
    """Hold BLAS and OpenMP to the run's threads: several candidates train on one machine at the same time."""
    from threadpoolctl import threadpool_limits  # scikit-learn depends on it

    with threadpool_limits(limits=threads):
        yield
