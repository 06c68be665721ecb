from __future__ import annotations

import pytest

from omniforge.deploy.interleaving import Ratio
from omniforge.deploy.timings import summarize

TIMES = [100_000] * 80 + [200_000] * 15 + [1_000_000] * 5


def test_percentiles_are_corrected_by_the_median_s_factor() -> None:
    found = summarize(TIMES * 10, ratio=Ratio(2.0, 1.9, 2.1, 0.0, 0.0, 9), unit_ms=0.04)  # calm: 0.08 ms
    assert found.raw == {"p50_ms": 0.1, "p90_ms": 0.2, "p99_ms": 1.0}
    assert found.metrics == pytest.approx({"latency_ms": 0.08, "latency_p90_ms": 0.16, "latency_p99_ms": 0.8})
    assert found.intervals["latency_ms"] == pytest.approx((0.076, 0.084))
    assert found.intervals["latency_p90_ms"] == pytest.approx((0.16, 0.16))


def test_few_times_leave_an_end_open() -> None:
    found = summarize(TIMES, ratio=Ratio(1e5, 1e5, 1e5, 0.0, 0.0, 9), unit_ms=1e-6)
    assert found.metrics["latency_ms"] == pytest.approx(0.1)
    assert found.intervals["latency_p99_ms"][1] is None
