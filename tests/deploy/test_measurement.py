from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import DEPLOYMENT_METRICS, Device, MeasureOptions, Runtime, RuntimeOptions, Session, measure
from omniforge.deploy.locking import device_lock
from omniforge.deploy.measurement import _model_bytes
from omniforge.deploy.reference import reference_row
from omniforge.deploy.runtimes import TensorSpec
from omniforge.errors import MeasurementError, SpecError, UnknownNameError

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
Slowness = Callable[[float], float]
FEATURES = TensorSpec((3,))
QUICK = MeasureOptions(budget_s=0.02, warmup_s=0.001)


class FakeClock:
    """A clock that moves only when a fake session runs."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class FakeSession(Session):
    """A model whose predictions take the times that it is told, in microseconds for a batch of one."""

    def __init__(self, clock: FakeClock, times_us: Iterator[float], spec: TensorSpec, slowness: Slowness) -> None:
        self.clock, self.times_us, self.input, self.slowness = clock, times_us, spec, slowness
        self.batches: list[int] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        self.clock.now_ns += round(next(self.times_us) * 1000 * len(batch) * self.slowness(self.clock.now_ns / 1e9))
        return np.zeros((len(batch), 1), dtype=np.float32)


class FakeRuntime(Runtime):
    """A runtime of fake sessions: the model's, and the reference's, which always takes 50 microseconds.

    Args:
        slowness: How many times as long everything takes, by the seconds that have passed.
    """

    name = "fake"
    model = FakeSession

    def __init__(
        self,
        clock: FakeClock,
        times_us: Iterator[float],
        *,
        load_us: float = 0.0,
        slowness: Slowness = lambda seconds: 1.0,
        spec: TensorSpec = FEATURES,
    ) -> None:
        self.clock, self.load_us, self.slowness = clock, load_us, slowness
        self.session = self.model(clock, times_us, spec, slowness)

    def prepare(self, model: Any, *, device: Device, options: RuntimeOptions) -> Session:
        if isinstance(model, bytes):
            return FakeSession(self.clock, forever(50.0), TensorSpec(reference_row().shape[1:], batch=1), self.slowness)
        self.clock.now_ns += round(self.load_us * 1000)
        return self.session

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
    assert steady.repeats < 3000  # the whole budget would be 6000 of both
    assert steady.spread.drift == 0
    assert not steady.spread.noisy


def test_a_machine_that_drifts_cancels(linear_file: Path, tmp_path: Path) -> None:
    def latency_ms(slowness: Slowness) -> float:
        clock = FakeClock()
        runtime = FakeRuntime(clock, forever(100.0, 101.0), slowness=slowness)
        report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock, lock_dir=tmp_path)
        assert report.reference is not None
        assert report.reference.calibrated
        assert report.ratio == pytest.approx(2.01, rel=0.02)
        assert not report.spread.noisy
        return report.metrics["latency_ms"]

    calm = latency_ms(lambda seconds: 1.0)
    assert calm == pytest.approx(0.1005, rel=0.01)
    assert latency_ms(lambda seconds: 1.7) == pytest.approx(calm, rel=0.01)
    assert latency_ms(lambda seconds: 1.0 + 4 * seconds) == pytest.approx(calm, rel=0.02)
    assert latency_ms(lambda seconds: 1.5 if int(seconds * 20) % 2 else 1.0) == pytest.approx(calm, rel=0.03)


def test_raw_times_are_kept_beside_the_corrected_ones(linear_file: Path, tmp_path: Path) -> None:
    for slowness, raw_ms in ((1.0, 0.1), (2.0, 0.2)):
        clock = FakeClock()
        runtime = FakeRuntime(clock, forever(100.0), slowness=lambda seconds, by=slowness: by)
        report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock, lock_dir=tmp_path)
        assert report.raw["p50_ms"] == pytest.approx(raw_ms)
        assert report.metrics["latency_ms"] == pytest.approx(0.1)
        assert report.metrics["latency_p99_ms"] == pytest.approx(0.1)
        assert report.metrics["throughput_rps"] == pytest.approx(10_000)


def test_a_model_that_alone_drifts_uses_the_budget_and_is_called_noisy(linear_file: Path) -> None:
    clock = FakeClock()
    slower = (50.0 + at * 0.01 for at in range(10**9))
    report = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, slower), clock=clock)
    assert report.spread.noisy
    assert report.repeats > 1500


def test_a_restless_measurement_is_made_again(linear_file: Path) -> None:
    clock = FakeClock()
    seen = iter(range(10**9))
    restless = (100.0 * (1 + (next(seen) // 40 % 2 if clock.now_ns < 0.3e9 else 0)) for _ in range(10**9))
    report = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, restless), clock=clock)
    assert report.spread.attempts == 2
    assert report.spread.iqr_share < 0.15
    assert report.metrics["latency_ms"] == pytest.approx(0.1, rel=0.01)


def test_without_a_reference_it_is_the_clock_s_time(linear_file: Path) -> None:
    clock = FakeClock()
    options = MeasureOptions(reference=False)
    runtime = FakeRuntime(clock, forever(80.0), slowness=lambda seconds: 2.0)
    report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock, options=options)
    assert report.metrics["latency_ms"] == pytest.approx(0.16)
    assert (report.ratio, report.reference) == (None, None)
    assert report.reference_note


def test_percentiles_have_intervals(linear_file: Path) -> None:
    report = measure(linear_file, rows=ROWS, options=MeasureOptions(budget_s=0.1))
    for name in ("latency_ms", "latency_p90_ms"):
        low, high = report.intervals[name]
        assert low is not None
        assert high is not None
        assert low <= report.metrics[name] <= high
    assert set(report.intervals) == {"latency_ms", "latency_p90_ms", "latency_p99_ms", "ratio"}


def test_a_fixed_batch_is_filled(linear_file: Path) -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, forever(10.0), spec=TensorSpec((3,), batch=64))
    report = measure(linear_file, rows=ROWS[:5], runtime=runtime, clock=clock)
    assert set(runtime.session.batches) == {64}
    assert report.batch == 64
    assert report.metrics["latency_ms"] == pytest.approx(0.64)
    assert report.metrics["throughput_rps"] == pytest.approx(100_000.0)


def test_a_slow_model_gets_the_least_repeats_and_a_small_batch(linear_file: Path) -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, forever(40_000.0))
    report = measure(linear_file, rows=ROWS, runtime=runtime, clock=clock)
    assert report.repeats == MeasureOptions().min_repeats
    assert report.batch == 2  # 0.1 s for the throughput
    assert report.metrics["throughput_rps"] == pytest.approx(25.0)


def test_throughput_counts_rows(linear_file: Path) -> None:
    clock = FakeClock()
    report = measure(linear_file, rows=ROWS, runtime=FakeRuntime(clock, forever(2.0)), clock=clock)
    assert report.batch == 256
    assert report.metrics["throughput_rps"] == pytest.approx(500_000.0)


def test_latency_cycles_through_the_rows(linear_file: Path) -> None:
    clock = FakeClock()
    runtime = FakeRuntime(clock, forever(50.0))
    measure(linear_file, rows=ROWS, runtime=runtime, clock=clock)
    assert runtime.session.batches.count(1) > len(ROWS)


def test_of_a_bare_device_only_what_it_does_itself_is_reported(linear_file: Path) -> None:
    clock = FakeClock()
    bare = Device("bare", runtime="fake", url="tvm-rpc://127.0.0.1:9190")
    report = measure(linear_file, rows=ROWS, device=bare, runtime=FakeRuntime(clock, forever(50.0)), clock=clock)
    latencies = {"latency_ms", "latency_p90_ms", "latency_p99_ms"}
    assert set(report.metrics) == latencies | {"throughput_rps", "model_bytes"}
    assert "bare" in report.reference_note
    assert report.memory_source.startswith("none")
    assert report.energy_source.startswith("none")


@pytest.mark.parametrize("location", ["linear.onnx.data", "weights.bin", "w" * 200])
def test_weights_in_a_file_beside_count(linear_file: Path, tmp_path: Path, location: str) -> None:
    onnx = pytest.importorskip("onnx")
    split = tmp_path / "split" / "linear.onnx"
    split.parent.mkdir()
    options = {"save_as_external_data": True, "location": location, "size_threshold": 0}
    onnx.save_model(onnx.load(linear_file), split, **options)
    (split.parent / "other.data").write_bytes(b"x" * 1000)
    size = split.stat().st_size + (split.parent / location).stat().st_size
    assert measure(split, rows=ROWS, options=QUICK).metrics["model_bytes"] == size


def test_the_weights_of_an_openvino_file_count_and_those_elsewhere_do_not(tmp_path: Path) -> None:
    model = tmp_path / "folder" / "model.xml"
    model.parent.mkdir()
    model.write_bytes(b"x" * 10)
    model.with_suffix(".bin").write_bytes(b"x" * 100)
    (tmp_path / "other").write_bytes(b"x" * 1000)
    assert _model_bytes(model) == 110
    named = model.with_name("named.onnx")
    named.write_bytes(b"\x0a\x08location\x12\x08../other\x0a\x08location\x12\x04gone\x0a\x08location\x12")
    assert _model_bytes(named) == named.stat().st_size
    named.write_bytes(b"")
    assert _model_bytes(named) == 0


def test_it_stays_on_the_cores_it_is_given(linear_file: Path) -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    seen = set()

    class Watching(FakeSession):
        def run(self, batch: np.ndarray) -> np.ndarray:
            seen.add(frozenset(os.sched_getaffinity(0)))
            return super().run(batch)

    class WatchingRuntime(FakeRuntime):
        model = Watching

    clock = FakeClock()
    options = MeasureOptions(runtime=RuntimeOptions(cpus=(core,)))
    measure(linear_file, rows=ROWS, runtime=WatchingRuntime(clock, forever(50.0)), clock=clock, options=options)
    assert seen == {frozenset({core})}
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
    [
        (np.zeros(3), "shape"),
        (np.zeros((0, 3)), "at least one row"),
        (np.zeros((4, 5)), r"\[4, 5\], expected float32 \[batch, 3\]"),
    ],
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


def test_the_collector_is_on_again(linear_file: Path) -> None:
    import gc

    assert gc.isenabled()
    measure(linear_file, rows=ROWS, options=QUICK)
    assert gc.isenabled()
