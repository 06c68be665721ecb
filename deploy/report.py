"""What a measurement says: the rewards, and everything that is needed to judge or repeat them. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

NOISY_DRIFT = 0.05
NO_METER = "none: this machine has no energy meter that can be read"


@dataclass(frozen=True)
class Spread:
    """How the measured latencies scatter.

    Args:
        iqr_ms: Distance between the quartiles; some of it is the rows' own, as trees take other branches for them.
        low_ms: Lower end of the median's 95 % confidence interval.
        high_ms: Upper end.
        drift: How far apart the medians of the measurement's four quarters are, as a part of the whole's median.
    """

    iqr_ms: float
    low_ms: float
    high_ms: float
    drift: float

    @property
    def noisy(self) -> bool:
        """Whether the machine was too busy with other work to trust the figures: measure again."""
        return self.drift > NOISY_DRIFT


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
        energy_mj: Energy of one prediction; ``None`` where nothing measures it. It is never estimated.
        energy_source: What measured the energy, or why there is none.
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
    energy_mj: float | None = None
    energy_source: str = NO_METER
    memory_source: str = "none"
    versions: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str | int] = field(default_factory=dict)
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        content = asdict(self)
        return content | {name: dict(content[name]) for name in ("metrics", "versions", "host")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DeploymentReport:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**content, "spread": Spread(**content["spread"])})
