"""The task estimator's process (TTE): trains and scores one candidate, exports it when a device will measure it.

It knows its sidecar's URL and nothing else: what to do comes from there, and all that it finds out goes there.
"""

from __future__ import annotations

import errno
import logging
import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError, StaleAttemptError

if TYPE_CHECKING:
    from ...estimators import TaskEstimator
    from ...sidecar import SidecarClient, TaskMessage

log = logging.getLogger(__name__)

CHECKED_ROWS = 256
FULL_DISK = "no_space"
REQUIRED, IF_POSSIBLE = "required", "if_possible"


class SidecarReporter:
    """Sends an estimator's progress to the sidecar and hands its decision back.

    Args:
        client: The way to the sidecar.
        stoppable: Whether a decision to stop counts; the final training is never cut short.
    """

    def __init__(self, client: SidecarClient, *, stoppable: bool) -> None:
        self._client = client
        self._stoppable = stoppable

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Send one step; return whether to stop."""
        return self._client.progress(step, metrics) and self._stoppable


def main(payload: dict[str, Any]) -> None:
    """Evaluate the task of the sidecar at ``payload["url"]``; ``payload["task"]`` may bring it along.

    Raises:
        Exception: Whatever the estimator raised, after the sidecar was told its cause.
    """
    from ...estimators import cause_of
    from ...sidecar import SidecarClient, TaskMessage

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    known = TaskMessage.model_validate(payload["task"]) if "task" in payload else None
    with SidecarClient(payload["url"], payload["token"], task=known) as client:
        message = client.task()
        try:
            evaluated = evaluate(message, client)
            if evaluated.model is not None:
                client.put_model(evaluated.model)
        except StaleAttemptError:
            raise  # nobody wants to hear of this attempt any more
        except Exception as e:
            cause = FULL_DISK if _is_disk_full(e) else "export_failed" if isinstance(e, ExportError) else cause_of(e)
            client.failure(cause, _one_line(e), traceback.format_exc())
            raise
        client.result(evaluated.scores, details={"stopped": evaluated.stopped, "encoding": evaluated.encoding})


@dataclass(frozen=True)
class Evaluated:
    """What came of a candidate.

    Attributes:
        scores: The finite ones, by metric name.
        stopped: Whether its training was stopped early.
        encoding: Which matrix of the prepared data its model reads, where it says so.
        model: The ONNX file, where one was asked for.
    """

    scores: dict[str, float]
    stopped: bool
    encoding: str | None
    model: Path | None


def evaluate(message: TaskMessage, client: SidecarClient) -> Evaluated:
    """Train, score and, when asked, export.

    Raises:
        EstimatorError: The estimator failed, or no score is a finite number.
        ExportError: The model cannot be exported, or its export predicts something else.
    """
    from ...estimators import EstimatorError, TaskEstimator
    from ...estimators.context import context
    from ...estimators.preloaded import loaded
    from ...search import SearchSpace

    options: dict[str, Any] = dict(message.options)
    bundle, estimator_class = loaded(message.estimator)
    epochs = 1.0 if bundle.fidelity is None else message.fidelity.get(bundle.fidelity.name, 1.0)
    with context(
        seed=message.seed,
        threads=int(options.get("threads", 1)),
        reporter=SidecarReporter(client, stoppable=not message.is_trainer),
        save_dir=options.get("save_dir") if estimator_class.save is not TaskEstimator.save else None,
        space=SearchSpace.from_dict(options["space"]) if "space" in options else None,
    ):
        candidate = estimator_class(
            run_epochs=round(epochs),
            data_path=message.data_path or "",
            is_trainer=message.is_trainer,
            **message.config,
        )
        scores = {name: value for name, value in candidate.run().items() if math.isfinite(value)}
        if not scores:
            raise EstimatorError("No score is a finite number.", cause="exception", stage="calculate_score")
        model = None
        if options.get("export") == REQUIRED or (options.get("export") == IF_POSSIBLE and can_export(candidate)):
            model = export(candidate, message, Path(options["scratch"]) / "model.onnx")
    return Evaluated(scores, bool(candidate.stopped), getattr(candidate, "encoding", None), model)


def can_export(candidate: TaskEstimator) -> bool:
    """Whether an estimator's author or its native model provides for an export."""
    from ...estimators import NativeModel, TaskEstimator

    return isinstance(candidate, NativeModel) or type(candidate).export_onnx is not TaskEstimator.export_onnx


def export(candidate: TaskEstimator, message: TaskMessage, path: Path) -> Path:
    """Write the trained model as ONNX and check that it agrees with the model on real rows.

    Raises:
        ExportError: The model cannot be exported, or its export predicts something else.
    """
    from ...estimators import NativeModel

    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(candidate, NativeModel):
        candidate.export_onnx(path)
        return path
    from ...data import PreparedData
    from ...deploy import check_agreement, export_onnx

    data = PreparedData.load(message.data_path or "")
    rows, _ = data.arrays("valid", candidate.encoding)
    rows = rows[:CHECKED_ROWS]
    classes = None if data.classes is None else len(data.classes)
    export_onnx(candidate.native_model, rows, path, task=data.task, classes=classes)
    check_agreement(path, rows, candidate.predict_raw(rows), task=data.task)
    return path


def _is_disk_full(error: BaseException) -> bool:
    """Whether a disk was full: this process's, or the one on which the sidecar keeps the model."""
    from ...sidecar import SidecarError

    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if isinstance(link, SidecarError) and link.status == HTTPStatus.INSUFFICIENT_STORAGE:
            return True
        link = link.__cause__ or link.__context__
    return False


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
