"""Figures from the times of single predictions: percentiles, raw and with the machine's drift taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .interleaving import Ratio
from .intervals import quantile_interval

METRICS = {"latency_ms": 0.5, "latency_p90_ms": 0.9, "latency_p99_ms": 0.99}
_RAW = {"latency_ms": "p50_ms", "latency_p90_ms": "p90_ms", "latency_p99_ms": "p99_ms"}


@dataclass(frozen=True)
class Timings:
    """Percentiles in milliseconds.

    Args:
        metrics: The latencies: the median is the ratio to the reference times what that takes on the device; the other
            percentiles are corrected by the same factor.
        intervals: The ends of their 95 % confidence intervals; ``None`` where there are too few samples for an end.
        raw: The percentiles as the clock showed them.
        iqr_ms: Distance between the quartiles, corrected.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float | None, float | None]]
    raw: Mapping[str, float]
    iqr_ms: float


def summarize(times_ns: Sequence[int], *, ratio: Ratio, unit_ms: float) -> Timings:
    """Return the percentiles of single predictions.

    Args:
        times_ns: Their times in nanoseconds, at least one.
        ratio: The model's blocks as multiples of the reference's; without a reference, of 1 ns.
        unit_ms: What the ratio is multiplied by: the reference's latency; without a reference, 1e-6.
    """
    import numpy as np

    ordered = np.sort(np.asarray(times_ns, dtype=np.float64)) / 1e6
    values = {name: float(np.percentile(ordered, 100 * q)) for name, q in METRICS.items()}
    latency_ms = ratio.value * unit_ms
    factor = latency_ms / max(values["latency_ms"], 1e-9)
    intervals: dict[str, tuple[float | None, float | None]] = {}
    for name, q in METRICS.items():
        low, high = quantile_interval(ordered, q)
        intervals[name] = (None if low is None else low * factor, None if high is None else high * factor)
    intervals["latency_ms"] = (ratio.low * unit_ms, ratio.high * unit_ms)
    first, third = np.percentile(ordered, [25.0, 75.0])
    return Timings(
        metrics={name: value * factor for name, value in values.items()},
        intervals=intervals,
        raw={_RAW[name]: value for name, value in values.items()},
        iqr_ms=float(third - first) * factor,
    )
