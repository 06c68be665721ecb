from __future__ import annotations

import json

import pytest

from omniforge.deploy import DeploymentReport
from omniforge.deploy.report import Reference, Spread


def report(drift: float = 0.01) -> DeploymentReport:
    return DeploymentReport(
        metrics={"latency_ms": 0.5, "model_bytes": 100.0},
        device="local",
        runtime="onnxruntime",
        repeats=1000,
        spread=Spread(iqr_ms=0.1, low_ms=0.49, high_ms=0.51, drift=drift),
        batch=256,
        threads=1,
        versions={"onnxruntime": "1.0"},
        host={"cores": 2},
        ratio=10.0,
        reference=Reference("conv", "onnxruntime", measured_ms=0.06, latency_ms=0.05, calibrated=True),
        intervals={"latency_ms": (0.49, 0.51), "latency_p99_ms": (0.6, None)},
        raw={"p50_ms": 0.6},
    )


def test_it_survives_json() -> None:
    assert DeploymentReport.from_dict(json.loads(json.dumps(report().to_dict()))) == report()


def test_energy_is_never_made_up() -> None:
    content = report().to_dict()
    assert content["energy_mj"] is None
    assert content["energy_source"].startswith("none")


@pytest.mark.parametrize(("drift", "noisy"), [(0.0, False), (0.049, False), (0.06, True)])
def test_a_drifting_median_is_noise(drift: float, noisy: bool) -> None:
    assert report(drift).spread.noisy is noisy


def test_reports_of_other_versions_are_read() -> None:
    old = {
        "metrics": {"latency_ms": 0.5},
        "device": "local",
        "runtime": "onnxruntime",
        "repeats": 10,
        "spread": {"iqr_ms": 0.1, "low_ms": 0.4, "high_ms": 0.6, "drift": 0.0},
        "batch": 1,
        "threads": 1,
    }
    read = DeploymentReport.from_dict(old)
    assert (read.ratio, read.reference, read.intervals) == (None, None, {})
    newer = report().to_dict() | {"colour": "blue"}
    newer["spread"] |= {"mood": "calm"}
    assert DeploymentReport.from_dict(newer) == report()
