"""What a user asks for (JobSpec) and what the formatter makes of it (JobPlan). Values only: nothing here reads data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..errors import SpecError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?\s*$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}

WAIT_POLICIES = ("adaptive", "sync", "quantile", "async")


class JobSpec(BaseModel):
    """One search as it was asked for; what is ``None`` or ``"auto"`` is the formatter's to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["nocode", "hpo"] = "nocode"
    name: str = Field(default="", max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$|^$")
    data: str = Field(
        description="a CSV (.gz), Parquet or Arrow file, or an .npz file of tensors; empty: the estimator's own"
    )
    target: str = Field(description="the column or array to predict")
    task: Literal["auto", "classification", "regression"] = "auto"
    estimator: str = Field(default="tabular", description="a bundle's folder, or the name of a provisioned one")
    objectives: tuple[str, ...] = Field(default=(), description="METRIC[:max|min][@DEVICE][<=BOUND]; first is primary")
    trials: int = Field(default=50, ge=1, le=100_000)
    time_budget_s: float | None = Field(default=None, gt=0)
    workers: int | None = Field(default=None, ge=1, le=1024)
    strategy: str | dict[str, Any] = "auto"
    space: dict[str, Any] | None = Field(default=None, description="replaces the estimator's own search space")
    wait: Literal["adaptive", "sync", "quantile", "async"] = "adaptive"
    stopping: Literal["auto", "median", "learning-curve", "none"] = Field(
        default="auto", description="when a training is cut short; auto: by the median, never with several objectives"
    )
    measure: Literal["all", "promising"] = Field(default="all", description="which candidates the devices measure")
    runtimes: tuple[str, ...] = Field(default=(), description="what else the winner is measured with on this machine")
    tuning_s: float = Field(
        default=120.0, gt=0, description="how long TVM is tuned for the winner, where it is asked for"
    )
    trial_timeout_s: float | None = Field(default=None, gt=0)
    memory_mb: int | None = Field(default=None, ge=64, description="limit of one task estimator")
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    delimiter: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _fill_data(cls, values: Any) -> Any:
        """Fill what need not be said: of an ``.npz`` file the target and the estimator, of an estimator its own data."""
        if not isinstance(values, dict):
            return values
        filled = {key: value for key, value in values.items() if not (key in ("data", "target") and value is None)}
        nocode = filled.get("kind", "nocode") == "nocode"
        if str(filled.get("data", "")).endswith(".npz"):
            filled["target"] = filled.get("target") or "y"
            filled = {"estimator": "image", **filled} if nocode else filled
        return filled if nocode else {"data": "", "target": "", **filled}

    @field_validator("data", "target")
    @classmethod
    def _given(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("kind") == "nocode":
            raise ValueError(f"Expected {'a file' if info.field_name == 'data' else 'a column'}")
        return value

    @field_validator("data")
    @classmethod
    def _absolute_when_local(cls, value: str) -> str:
        return value if "://" in value or not value else str(Path(value).expanduser().absolute())

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> JobSpec:
        """Check ``values`` and fill the defaults.

        Raises:
            SpecError: A field is unknown, missing or out of range; names the field, the value and what was expected.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as e:
            raise SpecError("; ".join(_explain(error) for error in e.errors()) + ".") from e


def _explain(error: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "job"
    if error["type"] == "missing":
        return f"{name} is missing"
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting of a job"
    if name == "name":
        return f"name = {error['input']!r}: use letters, digits, '.', '_' and '-', at most 100, starting with one of the first two"
    return f"{name} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def parse_duration(text: str | float | None, *, name: str = "time budget") -> float | None:
    """Return seconds from ``"90"``, ``"90s"``, ``"10m"``, ``"1.5h"``.

    Raises:
        SpecError: The text is not a positive duration.
    """
    if text is None or text == "":
        return None
    match = _DURATION.match(str(text))
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise SpecError(f"The {name} {text!r} is not a duration.", hint="Write it as 90s, 10m or 1.5h.")
    return seconds


@dataclass(frozen=True)
class Phase:
    """One pair of job estimator and workers.

    Attributes:
        name: ``smoke``, ``default``, ``search`` or ``final``.
        trials: How many tasks it evaluates.
        strategy: A strategy's name or mapping; ``"default"`` evaluates the space's default configuration.
        fidelity: What every task of the phase is run at; ``None`` for an estimator without a fidelity.
    """

    name: str
    trials: int
    strategy: str | dict[str, Any]
    fidelity: dict[str, float] | None


@dataclass(frozen=True)
class JobPlan:
    """One search as it will run, with the reason of every choice.

    Attributes:
        estimator: A provisioned estimator's name or the bundle's folder.
        space: The search space, as ``SearchSpace.from_dict`` reads it; its newest version, where it was changed.
        objectives: The resolved objectives, as ``Objective.from_dict`` reads them; the first is the primary one.
        data_path: The prepared data set's folder.
        memory_bytes: Limit of one task estimator's memory; ``None`` is unlimited.
        time_s: Limit of one task estimator's time.
        time_budget_s: The search phase's time; ``None`` is unlimited.
        final_fidelity: What the winner is trained at.
        stopping: The rule by which a training is cut short, where ``early_stopping`` is on.
        reasons: Sentences for the person: what was chosen and why.
        space_versions: The earlier versions of the space, oldest first, each ``{"space", "hash"}``.
        measure: Which candidates the devices measure: ``all`` or ``promising``.
        runtimes: What else the winner is measured with on this machine.
        tuning_s: How long TVM is tuned for the winner, where it is among ``runtimes``.
        schema_version: The form of this record.
    """

    task_type: str
    estimator: str
    space: dict[str, Any]
    space_hash: str
    objectives: list[dict[str, Any]]
    phases: list[Phase]
    data_path: str
    data_version: str
    workers: int
    memory_bytes: int | None
    time_s: float | None
    time_budget_s: float | None
    lease_s: float
    wait: str
    seed: int
    final_fidelity: dict[str, float] | None
    early_stopping: bool
    devices: list[str]
    warm_start: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    schema_version: int = 1
    space_versions: list[dict[str, Any]] = field(default_factory=list)
    stopping: str = "median"
    measure: str = "all"
    runtimes: list[str] = field(default_factory=list)
    tuning_s: float = 120.0

    @property
    def space_version(self) -> int:
        """The number of the newest version of the space, from 1."""
        return len(self.space_versions) + 1

    def phase(self, name: str) -> Phase:
        """Return the phase of that name.

        Raises:
            SpecError: The plan has no such phase.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise SpecError(f"The plan has no phase {name!r}; it has {', '.join(p.name for p in self.phases)}.")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JobPlan:
        """Read what :meth:`to_dict` wrote; fields of later versions are left out."""
        known = {f.name for f in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        return cls(**{**kept, "phases": [Phase(**phase) for phase in values["phases"]]})
