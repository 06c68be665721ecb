"""The bodies of the sidecar's requests and answers. Values that are not finite travel as the strings NaN and Infinity."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, field_validator

MAX_TEXT = 200_000
"""The longest traceback, in characters."""

Cause = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Attempt = Annotated[int, Field(ge=1)]


class Message(BaseModel):
    """What all bodies have in common: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class TaskMessage(Message):
    """What a task estimator is to do."""

    job: str = Field(description="the job's id")
    task: int = Field(description="the task's id in the store")
    attempt: Attempt = Field(default=1, description="which attempt of the task this is")
    phase: str = Field(default="search", description="smoke, default, search or final")
    estimator: str = Field(description="a bundle's folder, or the name of a built-in one")
    config: dict[str, JsonValue] = Field(description="the candidate's configuration, by path")
    fidelity: dict[str, FiniteFloat] = Field(default_factory=dict, description="how much to invest, by fidelity name")
    data_path: str | None = Field(default=None, description="the folder of the prepared data")
    seed: int = Field(default=0, ge=0, description="all randomness of the task follows from it")
    is_trainer: bool = Field(default=False, description="whether the trained model is wanted")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="what else the two sides agree on")


class ProgressMessage(Message):
    """The metrics at a step of the training."""

    step: int = Field(ge=0, description="how far it is, in the unit of the fidelity")
    metrics: dict[str, float] = Field(description="value by metric name; NaN where it diverged")


class Decision(Message):
    """The answer to progress."""

    stop: bool = Field(description="whether the training should end here")


class ResultMessage(Message):
    """A task that succeeded."""

    attempt: Attempt
    metrics: dict[str, FiniteFloat] = Field(min_length=1, description="value by metric name")
    duration_s: float | None = Field(default=None, ge=0, description="seconds of training and scoring")
    details: dict[str, JsonValue] = Field(default_factory=dict, description="what else is worth keeping")


class FailureMessage(Message):
    """A task that failed."""

    attempt: Attempt
    cause: Cause = Field(description="such as out_of_memory, exception or invalid_configuration")
    message: str = Field(max_length=MAX_TEXT)
    traceback: str = Field(default="", max_length=MAX_TEXT)


class Receipt(Message):
    """The answer to an outcome."""

    repeated: bool = Field(description="whether the same outcome had been received before")


class ModelReceipt(Message):
    """The answer to a model."""

    name: str
    sha256: str
    size_bytes: int


class DeploymentMessage(Message):
    """The measurements of a model on a device: a deployment report as a JSON object."""

    report: dict[str, JsonValue] = Field(description="at least device and metrics")

    @field_validator("report")
    @classmethod
    def _has_device_and_metrics(cls, report: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(report.get("device"), str) or not report["device"]:
            raise ValueError("'device' must name the device")
        metrics = report.get("metrics")
        if not isinstance(metrics, dict):
            raise ValueError("'metrics' must be an object of numbers by name")
        wrong = [
            name for name, value in metrics.items() if isinstance(value, bool) or not isinstance(value, int | float)
        ]
        if wrong:
            raise ValueError(f"metric {wrong[0]!r} must be a number, not {metrics[wrong[0]]!r}")
        return report


class Health(Message):
    """The sidecar answers."""

    status: str = "ok"
    version: str


class ErrorMessage(Message):
    """Why a request was refused."""

    detail: str
