from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from omniforge.sidecar import FailureMessage, ResultMessage, TaskMessage
from omniforge.sidecar.messages import DeploymentMessage, ProgressMessage


def test_a_task_survives_the_journey(task: TaskMessage) -> None:
    assert TaskMessage.model_validate_json(task.model_dump_json()) == task


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        ResultMessage(attempt=1, metrics={"score": 1.0}, score=1.0)


def test_a_message_does_not_change(task: TaskMessage) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        task.attempt = 3


def test_progress_may_diverge_and_a_result_may_not() -> None:
    sent = ProgressMessage(step=1, metrics={"loss": math.nan, "norm": math.inf})
    received = ProgressMessage.model_validate_json(sent.model_dump_json())
    assert math.isnan(received.metrics["loss"])
    assert received.metrics["norm"] == math.inf
    with pytest.raises(ValidationError, match="finite"):
        ResultMessage(attempt=1, metrics={"loss": math.nan})


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_count_from_one(attempt: int) -> None:
    with pytest.raises(ValidationError, match="attempt"):
        ResultMessage(attempt=attempt, metrics={"score": 1.0})


def test_a_result_without_metrics_is_none() -> None:
    with pytest.raises(ValidationError, match="metrics"):
        ResultMessage(attempt=1, metrics={})


@pytest.mark.parametrize("cause", ["", "Out of memory", "x" * 65, "1st"])
def test_a_cause_is_a_word(cause: str) -> None:
    with pytest.raises(ValidationError, match="cause"):
        FailureMessage(attempt=1, cause=cause, message="")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"metrics": {}}, "'device' must name"),
        ({"device": "", "metrics": {}}, "'device' must name"),
        ({"device": "local"}, "'metrics' must be an object"),
        ({"device": "local", "metrics": [1]}, "'metrics' must be an object"),
        ({"device": "local", "metrics": {"latency_ms": "fast"}}, "metric 'latency_ms' must be a number, not 'fast'"),
        ({"device": "local", "metrics": {"ok": True}}, "metric 'ok' must be a number"),
    ],
)
def test_a_deployment_report_has_a_device_and_metrics(report: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DeploymentMessage(report=report)


def test_a_deployment_report_may_hold_more() -> None:
    report = {"device": "local", "metrics": {"latency_ms": 1.5}, "spread": {"noisy": False}, "energy_mj": None}
    assert DeploymentMessage.model_validate_json(DeploymentMessage(report=report).model_dump_json()).report == report
