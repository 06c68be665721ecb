"""What a measurement says: the rewards, and everything that is needed to judge or repeat them. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

NOISY_DRIFT = 0.05
NO_METER = "none: this machine has no energy meter that can be read"


@dataclass(frozen=True)
class Spread:
    """How the measured latencies scatter.

    Args:
        iqr_ms: Distance between the quartiles; some of it is the rows' own, as trees take other branches for them.
        low_ms: Lower end of the 95 % confidence interval of ``latency_ms``.
        high_ms: Upper end.
        drift: How far apart the medians of the measurement's four quarters are, as a part of the whole's median; of the
            ratios to the reference, where there is one.
        iqr_share: Distance between the quartiles of the blocks' medians, as a part of their median: the machine's own
            unrest, without what the rows differ.
        attempts: How often it was measured until that was low enough or the time was over.
    """

    iqr_ms: float
    low_ms: float
    high_ms: float
    drift: float
    iqr_share: float = 0.0
    attempts: int = 1

    @property
    def noisy(self) -> bool:
        """Whether the machine was too busy with other work to trust the figures: measure again."""
        return self.drift > NOISY_DRIFT


@dataclass(frozen=True)
class Reference:
    """The model that the measured one took turns with.

    Args:
        name: Which one it is.
        runtime: What ran it.
        measured_ms: What it took during this measurement: the median of its blocks.
        latency_ms: What it takes on this device, which latencies are given by: calibrated once, else ``measured_ms``.
        calibrated: Whether it was calibrated.
    """

    name: str
    runtime: str
    measured_ms: float
    latency_ms: float
    calibrated: bool


@dataclass(frozen=True)
class DeploymentReport:
    """One model, measured by one runtime on one device.

    Args:
        metrics: Value by name, the names of ``DEPLOYMENT_METRICS``; what could not be measured is absent.
        device: The device's name.
        runtime: The runtime's name.
        repeats: How many predictions the latencies come from.
        spread: How they scatter.
        batch: Rows in one prediction of the throughput.
        threads: Threads in one prediction.
        ratio: How many times as long as the reference one prediction takes: the median over pairs of blocks.
        reference: What it took turns with; ``None``: nothing, ``reference_note`` says why.
        reference_note: Why there is no reference, or nothing.
        tuned: Whether every part of the model was tuned by a runtime that does (TVM); ``None``: this runtime tunes nothing.
        intervals: Ends of the 95 % confidence intervals, by metric, and ``"ratio"``; an end is ``None`` where there are
            too few samples for it.
        raw: ``p50_ms``, ``p90_ms``, ``p99_ms`` as the clock showed them, before the machine's drift was taken out.
        energy_mj: Energy of one prediction; ``None`` where nothing measures it. It is never estimated.
        energy_source: What measured the energy and what it counts, or why there is none.
        energy_predictions: How many predictions the energy comes from.
        energy_s: How long they took.
        memory_source: What measured the peak memory.
        versions: Version by package: the runtime and what it stands on.
        host: The machine: processor, cores, architecture, system.
        duration_s: How long measuring took.
    """

    metrics: Mapping[str, float]
    device: str
    runtime: str
    repeats: int
    spread: Spread
    batch: int
    threads: int
    ratio: float | None = None
    reference: Reference | None = None
    reference_note: str = ""
    tuned: bool | None = None
    intervals: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    raw: Mapping[str, float] = field(default_factory=dict)
    energy_mj: float | None = None
    energy_source: str = NO_METER
    energy_predictions: int = 0
    energy_s: float = 0.0
    memory_source: str = "none"
    versions: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str | int] = field(default_factory=dict)
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        content = asdict(self)
        content |= {name: dict(content[name]) for name in ("metrics", "versions", "host", "raw")}
        return content | {"intervals": {name: list(ends) for name, ends in self.intervals.items()}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DeploymentReport:
        """Read what :meth:`to_dict` wrote, also by an earlier or a later version: what is not known here is left out."""
        known = _known(cls, content)
        known["spread"] = Spread(**_known(Spread, content["spread"]))
        if known.get("reference") is not None:
            known["reference"] = Reference(**_known(Reference, known["reference"]))
        known["intervals"] = {name: (low, high) for name, (low, high) in content.get("intervals", {}).items()}
        return cls(**known)


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in content.items() if name in names}
