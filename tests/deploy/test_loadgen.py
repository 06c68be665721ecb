from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.isolated import run_scenario_isolated
from omniforge.deploy.loadgen import ScenarioOptions, ScenarioReport, run_scenario
from omniforge.errors import MeasurementError, MissingDependencyError, SpecError

pytest.importorskip("mlperf_loadgen", reason="the extra 'loadgen' is not installed")

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
QUICK = ScenarioOptions(duration_s=0.1, min_queries=70, latency_bound_ms=200)


def test_single_stream_is_valid_and_has_percentiles(linear_file: Path) -> None:
    report = run_scenario(linear_file, "single-stream", rows=ROWS, options=QUICK)
    assert report.valid, report.summary
    assert report.qps > 100
    assert set(report.percentiles_ms) >= {"50", "90", "99", "99.9"}
    assert 0 < report.percentiles_ms["50"] <= report.percentiles_ms["99"]
    assert report.duration_s >= 0.1
    assert report.version.startswith("6")
    assert "SingleStream" in report.summary
    assert (report.target_qps, report.latency_bound_ms) == (None, None)
    assert ScenarioReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_offline_predicts_batches(linear_file: Path) -> None:
    report = run_scenario(linear_file, "offline", rows=ROWS, options=QUICK)
    assert report.valid, report.summary
    assert report.qps > 1000
    assert report.duration_s < 1.0


def test_a_server_that_holds_its_bound_is_valid(linear_file: Path) -> None:
    options = ScenarioOptions(duration_s=0.3, min_queries=1000, target_qps=5000, latency_bound_ms=500)
    report = run_scenario(linear_file, "server", rows=ROWS, options=options)
    assert report.valid, report.summary
    assert report.target_qps == 5000
    assert report.latency_bound_ms == 500
    assert 2000 < report.qps < 8000


def test_a_server_that_does_not_says_why(linear_file: Path) -> None:
    options = ScenarioOptions(duration_s=0.2, min_queries=700, target_qps=5000, latency_bound_ms=0.001)
    report = run_scenario(linear_file, "server", rows=ROWS, options=options)
    assert not report.valid
    assert "Performance constraints satisfied" in report.reasons


def test_the_highest_rate_is_searched(linear_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    options = ScenarioOptions(duration_s=0.1, min_queries=700, latency_bound_ms=300)
    report = run_scenario_isolated(
        linear_file, "server", rows=tmp_path / "rows.npy", options=options, lock_dir=tmp_path
    )
    assert len(report.attempts) == 6
    held = [qps for qps, valid in report.attempts if valid]
    assert report.valid == bool(held)
    if held:
        assert report.target_qps == max(held)


def test_a_fixed_batch_is_one_sample(tmp_path: Path) -> None:
    from conformance.runtime_suite import linear_model

    path = tmp_path / "fixed.onnx"
    path.write_bytes(linear_model(rows=4))
    for scenario in ("single-stream", "offline"):
        assert run_scenario(path, scenario, rows=ROWS, options=QUICK).qps > 100


def test_a_model_that_fails_in_between_ends_the_run(linear_file: Path) -> None:
    class Failing(RUNTIMES.get("onnxruntime")):
        name = "failing"

        def prepare(self, model: Any, *, device: Any, options: RuntimeOptions) -> Any:
            session = super().prepare(model, device=device, options=options)
            run, calls = session.run, iter(range(10**9))

            def failing(batch: np.ndarray) -> np.ndarray:
                if next(calls) > 100:
                    raise MeasurementError("It broke.")
                return run(batch)

            session.run = failing
            return session

    RUNTIMES.register("failing", Failing)
    try:
        with pytest.raises(MeasurementError, match="It broke"):
            run_scenario(linear_file, "single-stream", rows=ROWS, runtime="failing", options=QUICK)
    finally:
        RUNTIMES._entries.pop("failing")


@pytest.mark.parametrize("name", ["duration_s", "min_queries", "batch", "target_qps", "latency_bound_ms"])
def test_options_have_to_be_positive(name: str) -> None:
    with pytest.raises(SpecError, match=name):
        ScenarioOptions(**{name: 0})


def test_an_unknown_scenario_is_refused(linear_file: Path) -> None:
    with pytest.raises(SpecError, match="single-stream, offline, server"):
        run_scenario(linear_file, "multi-stream", rows=ROWS)  # type: ignore[arg-type]


def test_without_the_extra_the_command_is_named(linear_file: Path, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    (tmp_path / "mlperf_loadgen.py").write_text("raise ImportError('not here')")
    code = (
        "import sys, numpy as np\n"
        "from omniforge.deploy.loadgen import run_scenario\n"
        "from omniforge.errors import MissingDependencyError\n"
        "try:\n    run_scenario(sys.argv[1], 'offline', rows=np.zeros((2, 3)))\n"
        "except MissingDependencyError as e:\n    print(e.hint)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(linear_file)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "pip install 'omniforge[loadgen]'"
    assert issubclass(MissingDependencyError, ImportError)
