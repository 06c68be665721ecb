"""Measure one exported model on one device: cold start, latency, throughput, size, peak memory.

Latency is the time of one prediction of one row, in this process, by default on one thread: what repeats best on a
machine that also does other work. Time is taken until the median is known well enough or the budget is spent. The
caller gives a folder for locks when several processes could measure on this machine at once.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from .devices import Device, describe_host, find_device
from .locking import device_lock
from .memory import PeakMemory
from .report import DeploymentReport, Spread
from .runtimes import RUNTIMES, Runtime, RuntimeOptions, Session
from .runtimes.base import unusable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Clock = Callable[[], int]

_PARTS = 4  # the median has to hold over the quarters of the measurement
_SINGLES = 256  # distinct rows that latency cycles through: trees take other branches for other rows
_TAIL_REPEATS = 1000  # where time allows, as many predictions as a 99th percentile needs
_SETTLE_SHARE = 0.15  # of the time for latencies: a few milliseconds alone say nothing about a machine at work
_THROUGHPUT_SHARE = 0.25


@dataclass(frozen=True)
class MeasureOptions:
    """How thorough a measurement is.

    Args:
        budget_s: Time for latency and throughput together, in seconds; above 0. A model that is slower than the budget
            allows still gets ``min_repeats`` predictions.
        warmup_s: Time for predictions that are not counted, at least 3 of them.
        min_repeats: Predictions at batch 1 below which no figure is given.
        precision: Latency is known well enough when the confidence interval of the median and the change of the median
            from one quarter of the samples to another are within this part of it.
        batch: Rows in one prediction of the throughput; a slow model gets fewer.
        runtime: Threads, cores and the runtime's own settings.
        lock_timeout_s: How long to wait for another process that measures on this device.
    """

    budget_s: float = 0.4
    warmup_s: float = 0.03
    min_repeats: int = 20
    precision: float = 0.02
    batch: int = 256
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    lock_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("budget_s", "warmup_s", "min_repeats", "precision", "batch", "lock_timeout_s"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name} = {getattr(self, name)}: expected more than 0.")


def measure(
    path: str | Path,
    *,
    rows: Array,
    device: str | Device = "local",
    runtime: str | Runtime | None = None,
    options: MeasureOptions | None = None,
    lock_dir: str | Path | None = None,
    clock: Clock = time.perf_counter_ns,
) -> DeploymentReport:
    """Measure a model.

    Args:
        path: The ONNX file.
        rows: Real rows to predict, ``n x d`` with ``n`` at least 1; converted to float32.
        device: The device, or its name.
        runtime: The runtime, or its name; ``None``: the device's own.
        options: How thorough; ``None``: the defaults.
        lock_dir: A folder for locks, the same for every process that measures on this machine; ``None``: no lock.
        clock: Nanoseconds, never going back.

    Raises:
        UnknownNameError: There is no such device or runtime.
        SpecError: ``rows`` is not a table of numbers, or it does not fit the model.
        MeasurementError: The model cannot be loaded or run, predicts something that is not finite, or the device stays
            busy. ``retryable`` says whether another try can help.
    """
    options = options or MeasureOptions()
    device = find_device(device) if isinstance(device, str) else device
    if not isinstance(runtime, Runtime):
        runtime = RUNTIMES.get(runtime or device.runtime)()
    rows = _as_rows(rows)
    size = _model_bytes(Path(path))
    lock = device_lock(Path(lock_dir), device.name, timeout_s=options.lock_timeout_s) if lock_dir else nullcontext()
    started = time.perf_counter()
    memory = PeakMemory()
    with lock, _on_cores(options.runtime.cpus):
        memory.start()
        before = clock()
        session = runtime.prepare(Path(path), device=device, options=options.runtime)
        cold_start_ms = (clock() - before) / 1e6
        with session:
            _check_fit(session, rows)
            _warm_up(session, rows, warmup_s=options.warmup_s, clock=clock)
            peak_mb = memory.read_mb()
            with _no_garbage_collection():
                latencies = _latencies(session, rows, options=options, clock=clock)
                batch = _throughput_batch(latencies, options)
                throughput = _throughput(session, rows, batch=batch, budget_s=options.budget_s, clock=clock)
    percentiles, spread = _summary(latencies)
    metrics = percentiles | {
        "throughput_rps": throughput,
        "model_bytes": float(size),
        "cold_start_ms": cold_start_ms,
    }
    if peak_mb is not None:
        metrics["peak_memory_mb"] = peak_mb
    return DeploymentReport(
        metrics=metrics,
        device=device.name,
        runtime=runtime.name,
        repeats=len(latencies),
        spread=spread,
        batch=batch,
        threads=options.runtime.threads,
        memory_source=memory.source,
        versions=runtime.versions(),
        host=describe_host(),
        duration_s=time.perf_counter() - started,
    )


def _as_rows(rows: Array) -> Array:
    """Return ``rows`` as a C-contiguous float32 table."""
    import numpy as np

    table = np.ascontiguousarray(rows, dtype=np.float32)
    if table.ndim != 2 or len(table) == 0:
        raise SpecError(f"rows has the shape {list(table.shape)}; expected n x d with at least one row.")
    return table


def _model_bytes(path: Path) -> int:
    """Return the size of a model on disk, weights in files beside it included (``NAME.data``)."""
    try:
        size = path.stat().st_size
    except OSError as e:
        raise unusable(f"The model {path} cannot be read: {e.strerror or e}.") from e
    beside = path.with_name(path.name + ".data")
    return size + (beside.stat().st_size if beside.is_file() else 0)


def _check_fit(session: Session, rows: Array) -> None:
    """Check that the rows fit the model and that it predicts finite numbers."""
    import numpy as np

    misfit = session.input.misfit(rows if session.input.batch is None else rows[: session.input.batch])
    if misfit is not None:
        raise SpecError(f"The rows do not fit the model: {misfit}.")
    result = session.run(rows[: min(len(rows), 8)])
    if not np.isfinite(result).all():
        raise unusable(
            "The model predicts NaN or infinity on real rows.",
            hint="Training diverged, or the export is wrong: such a model is no candidate.",
        )


def _warm_up(session: Session, rows: Array, *, warmup_s: float, clock: Clock) -> None:
    single = rows[:1]
    end = clock() + round(warmup_s * 1e9)
    runs = 0
    while runs < 3 or clock() < end:
        session.run(single)
        runs += 1


def _latencies(session: Session, rows: Array, *, options: MeasureOptions, clock: Clock) -> list[int]:
    """Return the times of single predictions in nanoseconds, as many as are needed or the budget allows."""
    singles = [rows[i : i + 1] for i in range(min(len(rows), _SINGLES))]
    budget_ns = options.budget_s * (1.0 - _THROUGHPUT_SHARE) * 1e9
    started = clock()
    times: list[int] = []
    target = max(options.min_repeats, 8 * _PARTS)
    run = session.run
    while True:
        for at in range(len(times), target):
            single = singles[at % len(singles)]
            before = clock()
            run(single)
            after = clock()
            times.append(after - before)
            if after - started > budget_ns and at + 1 >= options.min_repeats:
                return times
        enough = target >= _TAIL_REPEATS and clock() - started > _SETTLE_SHARE * budget_ns
        if enough and _is_stable(times, precision=options.precision):
            return times
        target = round(target * 1.5)


def _is_stable(times: Sequence[int], *, precision: float) -> bool:
    """Say whether the median is known to within ``precision`` of itself, and holds over time."""
    median, spread = _spread(times)
    return spread.high_ms - spread.low_ms <= 2 * precision * median and spread.drift <= 2 * precision


def _spread(times: Sequence[int]) -> tuple[float, Spread]:
    """Return the median in milliseconds, and how ``times``, in nanoseconds and in order, scatter around it."""
    import numpy as np

    values = np.asarray(times, dtype=np.float64) / 1e6
    ordered = np.sort(values)
    count = len(ordered)
    reach = 0.98 * count**0.5  # 1.96 standard deviations of Binomial(count, 1/2): the interval of any distribution
    first, median, third = np.percentile(ordered, [25.0, 50.0, 75.0])
    quarters = [float(np.median(part)) for part in np.array_split(values, _PARTS) if len(part)]
    spread = Spread(
        iqr_ms=float(third - first),
        low_ms=float(ordered[max(int(count / 2 - reach), 0)]),
        high_ms=float(ordered[min(int(count / 2 + reach), count - 1)]),
        drift=(max(quarters) - min(quarters)) / max(float(median), 1e-9),
    )
    return float(median), spread


def _summary(times: Sequence[int]) -> tuple[dict[str, float], Spread]:
    """Return the latencies' percentiles in milliseconds, and how they scatter."""
    import numpy as np

    median, spread = _spread(times)
    p90, p99 = np.percentile(np.asarray(times, dtype=np.float64) / 1e6, [90.0, 99.0])
    return {"latency_ms": median, "latency_p90_ms": float(p90), "latency_p99_ms": float(p99)}, spread


def _throughput_batch(latencies: Sequence[int], options: MeasureOptions) -> int:
    """Return how many rows to predict at once: fewer for a model that would take longer than the budget for them."""
    budget_ns = options.budget_s * _THROUGHPUT_SHARE * 1e9
    affordable = int(budget_ns / max(sorted(latencies)[len(latencies) // 2], 1))
    return max(1, min(options.batch, affordable))


def _throughput(session: Session, rows: Array, *, batch: int, budget_s: float, clock: Clock) -> float:
    """Return how many rows a second are predicted in batches of ``batch``."""
    import numpy as np

    many = np.ascontiguousarray(np.resize(rows, (batch, rows.shape[1])))
    budget_ns = budget_s * _THROUGHPUT_SHARE * 1e9
    started = before = clock()
    times: list[int] = []
    while before - started < budget_ns or not times:
        session.run(many)
        after = clock()
        times.append(after - before)
        before = after
    settled = times[1:] or times  # the first batch of this size also allocates
    return batch / max(float(np.median(settled)) / 1e9, 1e-9)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python's collector from running in the middle of a prediction."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _on_cores(cpus: tuple[int, ...] | None) -> Iterator[None]:
    """Keep this thread, and the threads that it starts, on ``cpus``."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as e:
        raise SpecError(f"cpus = {cpus}: cannot run there; this process may use {sorted(before)}.") from e
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
