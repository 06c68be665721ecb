from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.components.task_estimator.tte import IF_POSSIBLE, REQUIRED, SidecarReporter, evaluate, main
from omniforge.data import PreparedData
from omniforge.errors import ExportError, SpaceError
from omniforge.estimators import EstimatorError
from omniforge.sidecar import FailureMessage, ResultMessage, Session, Sidecar, TaskMessage

Message = Callable[..., TaskMessage]

WITHOUT_EXPORT = """
from omniforge import TaskEstimator, estimator

class Constant(TaskEstimator):
    @estimator.wrap
    def __init__(self, run_epochs, data_path, is_trainer, **model_args):
        super().__init__(run_epochs, data_path, is_trainer, **model_args)
    def train(self): ...
    def calculate_score(self):
        return self.model_args["value"]
"""
MANIFEST = """
name: constant
version: 1.0.0
tasks: [classification]
entry_point: constant:Constant
metrics: {accuracy: max}
space:
  value: {type: float, range: [0.0, 1.0], default: 0.5}
"""


class Recorder:
    """A client that notes progress and answers as it is told."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.stop_at = stop_at
        self.steps: list[int] = []

    def progress(self, step: int, metrics: Mapping[str, float]) -> bool:
        self.steps.append(step)
        return step >= self.stop_at


@pytest.fixture
def message(probe: Path, iris: PreparedData, tmp_path: Path) -> Message:
    def make(act: str = "fit", *, options: dict[str, Any] | None = None, **changes: Any) -> TaskMessage:
        values: dict[str, Any] = {
            "job": "job", "task": 1, "estimator": str(probe), "config": {"act": act, "strength": 1.0},
            "fidelity": {"run_epochs": 3.0}, "data_path": str(iris.root), "seed": 1,
            "options": {"scratch": str(tmp_path / "scratch"), **(options or {})},
        }  # fmt: skip
        return TaskMessage(**{**values, **changes})

    return make


@pytest.fixture
def run_main(sidecar: Sidecar) -> Iterator[Callable[[TaskMessage], Session]]:
    sessions: list[Session] = []

    def run(message: TaskMessage) -> Session:
        session = sidecar.open(message, on_progress=lambda step, metrics: False)
        sessions.append(session)
        main({"url": session.url, "token": session.token})
        return session

    yield run
    for session in sessions:
        session.close()


def test_a_candidate_is_trained_at_its_fidelity(message: Message) -> None:
    client: Any = Recorder()
    found = evaluate(message(), client)
    assert client.steps == [1, 2, 3]
    assert found.scores["accuracy"] > 0.8
    assert (found.stopped, found.encoding, found.model) == (False, "onehot", None)


def test_a_search_may_stop_a_training_but_nothing_stops_the_final_one(message: Message) -> None:
    searched: Any = Recorder(stop_at=2)
    assert evaluate(message(), searched).stopped
    assert searched.steps == [1, 2]
    final: Any = Recorder(stop_at=2)
    assert not evaluate(message(is_trainer=True), final).stopped
    assert final.steps == [1, 2, 3]
    assert not SidecarReporter(final, stoppable=False).report(9, {})


def test_an_export_agrees_with_the_model(message: Message, iris: PreparedData) -> None:
    import onnxruntime

    client: Any = Recorder()
    found = evaluate(message(options={"export": REQUIRED}), client)
    assert found.model is not None
    session = onnxruntime.InferenceSession(found.model)
    rows, labels = iris.arrays("valid", "onehot")
    (probabilities,) = session.run(None, {"features": np.asarray(rows)})
    assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(found.scores["accuracy"])
    with pytest.raises(ExportError):
        evaluate(message("lie", options={"export": REQUIRED}), client)


def test_an_estimator_that_cannot_export_is_searched_all_the_same(message: Message, tmp_path: Path) -> None:
    bundle = tmp_path / "constant"
    bundle.mkdir()
    (bundle / "estimator.yaml").write_text(MANIFEST)
    (bundle / "constant.py").write_text(WITHOUT_EXPORT)
    plain = {"estimator": str(bundle), "config": {"value": 0.25}, "fidelity": {}}
    client: Any = Recorder()
    found = evaluate(message(options={"export": IF_POSSIBLE}, **plain), client)
    assert (found.scores, found.model, found.encoding) == ({"accuracy": 0.25}, None, None)
    with pytest.raises(EstimatorError, match="cannot export onnx"):
        evaluate(message(options={"export": REQUIRED}, **plain), client)


def test_the_sidecar_gets_the_scores_and_the_model(
    message: Message, run_main: Callable[[TaskMessage], Session]
) -> None:
    session = run_main(message(options={"export": REQUIRED}))
    assert isinstance(session.outcome, ResultMessage)
    assert session.outcome.metrics["accuracy"] > 0.8
    assert session.outcome.details == {"stopped": False, "encoding": "onehot"}
    assert session.model is not None


@pytest.mark.parametrize(
    ("act", "options", "cause", "says"),
    [
        ("refuse", {}, "exception", "I would rather not"),
        ("fill", {}, "no_space", "No space left on device"),
        ("lie", {"export": REQUIRED}, "export_failed", "ExportError"),
    ],
)
def test_the_sidecar_is_told_why_it_failed(
    message: Message, sidecar: Sidecar, act: str, options: dict[str, Any], cause: str, says: str
) -> None:
    session = sidecar.open(message(act, options=options), on_progress=lambda step, metrics: False)
    try:
        with pytest.raises((EstimatorError, ExportError)):
            main({"url": session.url, "token": session.token})
        assert isinstance(session.outcome, FailureMessage)
        assert session.outcome.cause == cause
        assert says in session.outcome.message
        assert "Traceback" in session.outcome.traceback
    finally:
        session.close()


def test_arguments_are_checked_against_the_space_of_the_job(message: Message) -> None:
    narrow = {"act": {"type": "choice", "range": ["fit"]}, "strength": {"type": "float", "range": [5.0, 6.0]}}
    client: Any = Recorder()
    with pytest.raises(SpaceError, match=r"strength: 1 is not allowed; expected a number from 5 to 6"):
        evaluate(message(options={"space": narrow}), client)
