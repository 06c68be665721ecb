from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import DEPLOYMENT_METRICS, Device, MeasureOptions, Runtime, RuntimeOptions, Session, measure
from omniforge.deploy.locking import device_lock
from omniforge.errors import MeasurementError, SpecError, UnknownNameError

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
QUICK = MeasureOptions(budget_s=0.02, warmup_s=0.001)


class FakeClock:
    """A clock that moves only when a fake session runs."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class FakeRuntime(Runtime, Session):
    """A runtime whose predictions take the times that it is told, in microseconds for a batch of one."""

    name = "fake"
    width = 3

    def __init__(self, clock: FakeClock, times_us: Iterator[float], *, load_us: float = 0.0) -> None:
        self.clock, self.times_us, self.load_us = clock, times_us, load_us
        self.batches: list[int] = []

    def prepare(self, model: Any, *, device: Device, options: RuntimeOptions) -> Session:
        self.clock.now_ns += round(self.load_us * 1000)
        return self

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        self.clock.now_ns += round(next(self.times_us) * 1000 * len(batch))
        return np.zeros((len(batch), 1), dtype=np.float32)

    def versions(self) -> dict[str, str]:
        return {"fake": "1"}


def forever(*times_us: float) -> Iterator[float]:
    while True:
        yield from times_us


def test_a_real_model_has_every_metric(linear_file: Path, tmp_path: Path) -> None:
    report = measure(linear_file, rows=ROWS, options=QUICK, lock_dir=tmp_path / "locks")
    assert set(report.metrics) == set(DEPLOYMENT_METRICS) - {"energy_mj"}
    assert all(value >= 0 for value in report.metrics.values())
    assert report.metrics["latency_ms"] <= report.metrics["latency_p90_ms"] <= report.metrics["latency_p99_ms"]
    assert report.metrics["model_bytes"] == linear_file.stat().st_size
    assert (report.device, report.runtime, report.threads) == ("local", "onnxruntime", 1)
    assert report.versions["onnxruntime"]
    assert report.spread.low_ms <= report.metrics["latency_ms"] <= report.spread.high_ms
    assert report.repeats >= QUICK.min_repeats
    assert report.energy_mj is None


def test_the_alias_of_a_device_is_its_name(linear_file: Path) -> None:
    assert measure(linear_file, rows=ROWS, device="cpu", options=QUICK).device == "local"


def test_percentiles_are_those_of_the_times(linear_file: Path) -> None:
    clock = FakeClock()
    times = [100.0] * 80 + [200.0] * 15 + [1000.0] * 5
    runtime = FakeRuntime(clock, forever(*times), load_us=5000)
    report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock, options=MeasureOptions(budget_s=2.0))
    assert report.metrics["cold_start_ms"] == 5.0
    assert report.metrics["latency_ms"] == pytest.approx(0.1)
    assert report.metrics["latency_p90_ms"] == pytest.approx(0.2)
    assert report.metrics["latency_p99_ms"] == pytest.approx(1.0)


def test_steady_times_end_the_measurement_early(linear_file: Path) -> None:
    clock = FakeClock()
    steady = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, forever(50.0)), clock=clock)
    assert steady.repeats < 4000  # the whole budget would be 6000
    assert steady.spread.drift == 0
    assert not steady.spread.noisy


def test_a_drifting_machine_uses_the_budget_and_is_called_noisy(linear_file: Path) -> None:
    clock = FakeClock()
    slower = (50.0 + at * 0.01 for at in range(10**9))
    report = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, slower), clock=clock)
    assert report.spread.noisy
    assert report.repeats > 3000


def test_a_slow_model_gets_the_least_repeats_and_a_small_batch(linear_file: Path) -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, forever(40_000.0))
    report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock)
    assert report.repeats == MeasureOptions().min_repeats
    assert report.batch == 2  # 0.1 s for the throughput
    assert report.metrics["throughput_rps"] == pytest.approx(25.0)


def test_throughput_counts_rows(linear_file: Path) -> None:
    clock = FakeClock()
    report = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, forever(10.0)), clock=clock)
    assert report.batch == 256
    assert report.metrics["throughput_rps"] == pytest.approx(100_000.0)


def test_latency_cycles_through_the_rows(linear_file: Path) -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, forever(50.0))
    measure(linear_file, rows=ROWS, runtime=runtime, clock=clock)
    assert runtime.batches.count(1) > len(ROWS)


def test_weights_in_a_file_beside_count(linear_file: Path) -> None:
    alone = measure(linear_file, rows=ROWS, options=QUICK).metrics["model_bytes"]
    linear_file.with_name("linear.onnx.data").write_bytes(b"x" * 1000)
    assert measure(linear_file, rows=ROWS, options=QUICK).metrics["model_bytes"] == alone + 1000


def test_it_stays_on_the_cores_it_is_given(linear_file: Path) -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    seen = set()

    class Watching(FakeRuntime):
        def run(self, batch: np.ndarray) -> np.ndarray:
            seen.update(os.sched_getaffinity(0))
            return super().run(batch)

    clock = FakeClock()
    options = MeasureOptions(runtime=RuntimeOptions(cpus=(core,)))
    measure(linear_file, rows=ROWS, runtime=Watching(clock, forever(50.0)), clock=clock, options=options)
    assert seen == {core}
    assert os.sched_getaffinity(0) == before


def test_a_core_that_is_not_there_is_refused(linear_file: Path) -> None:
    options = MeasureOptions(runtime=RuntimeOptions(cpus=(10_000,)))
    with pytest.raises(SpecError, match="cpus"):
        measure(linear_file, rows=ROWS, options=options)


@pytest.mark.fault
def test_a_model_that_predicts_nan_is_no_candidate(tmp_path: Path) -> None:
    path = tmp_path / "nan.onnx"
    path.write_bytes(linear_model(np.full_like(WEIGHTS, np.nan)))
    with pytest.raises(MeasurementError, match="NaN") as caught:
        measure(path, rows=ROWS, options=QUICK)
    assert not caught.value.retryable


@pytest.mark.fault
def test_a_broken_model_is_refused_and_the_lock_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(linear_model()[:50])
    with pytest.raises(MeasurementError, match=r"broken\.onnx"):
        measure(path, rows=ROWS, lock_dir=tmp_path)
    with device_lock(tmp_path, "local", timeout_s=0.01):
        pass


def test_two_measurements_do_not_overlap(linear_file: Path, tmp_path: Path) -> None:
    options = MeasureOptions(budget_s=0.02, warmup_s=0.001, lock_timeout_s=0.05)
    with device_lock(tmp_path, "local"), pytest.raises(MeasurementError, match="busy") as caught:
        measure(linear_file, rows=ROWS, options=options, lock_dir=tmp_path)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("rows", "message"),
    [(np.zeros(3), "shape"), (np.zeros((0, 3)), "at least one row"), (np.zeros((4, 5)), "expects 3 features")],
)
def test_rows_that_do_not_fit_are_refused(linear_file: Path, rows: np.ndarray, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        measure(linear_file, rows=rows, options=QUICK)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"none\.onnx"):
        measure(tmp_path / "none.onnx", rows=ROWS)


@pytest.mark.parametrize("wrong", [{"device": "toaster"}, {"runtime": "abacus"}])
def test_unknown_names_are_refused(linear_file: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match=next(iter(wrong.values()))):
        measure(linear_file, rows=ROWS, **wrong)


@pytest.mark.parametrize("name", ["budget_s", "warmup_s", "min_repeats", "precision", "batch"])
def test_options_have_to_be_positive(name: str) -> None:
    with pytest.raises(SpecError, match=name):
        MeasureOptions(**{name: 0})


def test_the_collector_is_on_again(linear_file: Path) -> None:
    import gc

    assert gc.isenabled()
    measure(linear_file, rows=ROWS, options=QUICK)
    assert gc.isenabled()
