"""What the author of an algorithm sees: ``TaskEstimator`` and ``estimator.wrap`` (OmniForce, Listing 1).

::

    from omniforge import TaskEstimator, estimator

    class MyEstimator(TaskEstimator):
        @estimator.wrap
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args) -> None: ...
        def train(self) -> None: ...                       # self.report(epoch, metrics) enables early stopping
        @estimator.wrap
        def calculate_score(self) -> dict[str, float]: ...

Nothing heavy is imported here, and nothing about tables: any kind of data and model goes through this door.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .causes import EXCEPTION, EstimatorError
from .context import context
from .reporting import RecordingReporter, StopTraining, report, use_reporter
from .scores import as_scores
from .wrapping import wrap

if TYPE_CHECKING:
    from ..search.space import SearchSpace

_WRAPPED_FOR_THE_AUTHOR = ("__init__", "train", "calculate_score", "run")


class TaskEstimator(ABC):
    """Train and score one candidate: the base of every algorithm.

    The methods named in ``@estimator.wrap`` are wrapped in a subclass even where its author forgot the decorator.

    Attributes:
        run_epochs: The fidelity: how much training this candidate gets, in the unit that the bundle says.
        data_path: Where the data is: for tabular bundles the folder of a prepared data set.
        is_trainer: True in the final training of the best candidate: train in full and save.
        arguments: Everything the estimator was made with, by name, read-only.
        seed: All randomness follows from it.
        threads: How many threads to compute with.
        save_dir: Where a trainer run saves; ``None``: the caller saves.
        stopped: Whether the training was stopped early.
    """

    search_space: ClassVar[SearchSpace | None] = None
    primary_metric: ClassVar[str] = "score"

    run_epochs: int
    data_path: str
    is_trainer: bool
    arguments: Mapping[str, Any]
    seed: int
    threads: int
    save_dir: str | None
    stopped: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _WRAPPED_FOR_THE_AUTHOR:
            if name in vars(cls):
                setattr(cls, name, wrap(vars(cls)[name]))

    @wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        self.run_epochs = run_epochs
        self.data_path = data_path
        self.is_trainer = is_trainer
        self.model_args = model_args

    @abstractmethod
    def train(self) -> None:
        """Train the model; call :meth:`report` as it goes."""

    @abstractmethod
    def calculate_score(self) -> float | dict[str, float]:
        """Return the score on the validation data: a number, or several by metric name."""

    @wrap
    def run(self) -> dict[str, float]:
        """Train, score, and in a trainer run save to ``save_dir`` when there is one.

        Returns:
            The scores by metric name.

        Raises:
            EstimatorError: The estimator's code failed; carries the cause.
        """
        self.train()
        result = self.calculate_score()
        if self.is_trainer and self.save_dir is not None:
            self.save(self.save_dir)
        return as_scores(result, metric=self.primary_metric, owner=type(self).__name__, stage="calculate_score")

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Report progress from inside of :meth:`train`; in a search it may end the training here.

        Args:
            step: How far the training is, in the unit of the fidelity; rises from call to call.
            metrics: Value by metric name.

        Raises:
            StopTraining: The search has seen enough of this candidate; let it pass, ``run`` goes on to score.
        """
        try:
            report(step, metrics)
        except StopTraining:
            if not self.is_trainer:  # the final training is never cut short
                raise

    def predict(self, batch: Any) -> Any:
        """Predict a batch of inputs."""
        raise self._missing("predict", batch, needed_for="inference")

    def save(self, path: str | Path) -> None:
        """Write the trained model to the folder ``path``."""
        raise self._missing("save", path, needed_for="a final training")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an estimator that can predict back from the folder ``path``."""
        raise _missing(cls, "load", f" from {path}", needed_for="inference")

    def export_onnx(self, path: str | Path) -> None:
        """Write the trained model to the file ``path`` in ONNX format.

        An estimator with ``native_model``, ``encoding`` and ``predict_raw`` (see :mod:`omniforge.estimators.native`)
        is exported without overriding this.
        """
        raise self._missing("export_onnx", path, needed_for="deployment")

    def _missing(self, method: str, argument: object, *, needed_for: str) -> EstimatorError:
        shown = f" to {argument}" if isinstance(argument, str | Path) else ""
        return _missing(type(self), method, shown, needed_for=needed_for)


def _missing(cls: type, method: str, shown: str, *, needed_for: str) -> EstimatorError:
    return EstimatorError(
        f"{cls.__name__} cannot {method.replace('_', ' ')}{shown}: it does not define {method}().",
        cause=EXCEPTION,
        stage=method,
        hint=f"An estimator without {method}() can be searched, but is no use for {needed_for}: define it.",
    )


class EstimatorInterface:
    """The names that an author needs, under one: ``from omniforge import estimator``."""

    TaskEstimator = TaskEstimator
    StopTraining = StopTraining
    RecordingReporter = RecordingReporter
    wrap = staticmethod(wrap)
    context = staticmethod(context)
    report = staticmethod(report)
    use_reporter = staticmethod(use_reporter)


estimator = EstimatorInterface()
