"""Measure one exported model on one device: cold start, latency, throughput, size, peak memory, energy.

Latency is the time of one prediction of one row, in this process, by default on one thread and one core: what repeats
best on a machine that also does other work. It is taken by turns with a reference (:mod:`.interleaving`,
:mod:`.reference`), until the median ratio is known well enough or the budget is spent. The caller gives a folder for
locks when several processes could measure on this machine at once.
"""

from __future__ import annotations

import gc
import mmap
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .devices import Device, find_device
from .energy import energy_of, find_meter
from .hardware import describe_host
from .interleaving import Clock, Lane
from .latency import take_latency, take_throughput, warm_up
from .locking import device_lock
from .memory import PeakMemory
from .options import MeasureOptions
from .pinning import free_core, on_cores
from .reference import ReferenceModel, calibrated_ms, calibration_key, describe_reference, prepare_reference
from .report import DeploymentReport, Reference, Spread
from .rows import check_finite, fit_rows, single_batches
from .runtimes import RUNTIMES, Runtime, Session
from .runtimes.base import unusable
from .timings import summarize

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["MeasureOptions", "measure"]

_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])", re.DOTALL)


def measure(
    path: str | Path,
    *,
    rows: Array,
    device: str | Device = "local",
    runtime: str | Runtime | None = None,
    options: MeasureOptions | None = None,
    lock_dir: str | Path | None = None,
    clock: Clock = time.perf_counter_ns,
    on_start: Callable[[], None] | None = None,
) -> DeploymentReport:
    """Measure a model.

    Args:
        path: The ONNX file.
        rows: Real rows to predict, ``n x input.shape`` with ``n`` at least 1; converted to the type that the model reads
            where that loses nothing but precision.
        device: The device, or its name.
        runtime: The runtime, or its name; ``None``: the device's own.
        options: How thorough; ``None``: the defaults.
        lock_dir: A folder for locks and for the reference's calibration, the same for every process that measures on this
            machine; ``None``: no lock, and latencies are as fast as the machine was just then.
        clock: Nanoseconds, never going back.
        on_start: Called once, when the device is this process's.

    Raises:
        UnknownNameError: There is no such device or runtime.
        SpecError: ``rows`` are not numbers, or they do not fit the model.
        MeasurementError: The model cannot be loaded or run, predicts something that is not finite, or the device stays
            busy. ``retryable`` says whether another try can help.
    """
    options = options or MeasureOptions()
    device = find_device(device) if isinstance(device, str) else device
    if not isinstance(runtime, Runtime):
        runtime = RUNTIMES.get(runtime or device.runtime)()
    lock = device_lock(Path(lock_dir), device.name, timeout_s=options.lock_timeout_s) if lock_dir else nullcontext()
    with lock:
        if on_start is not None:
            on_start()
        work = _Measurement(device, runtime, options, clock, None if lock_dir is None else Path(lock_dir))
        return work.do(Path(path), rows)


class _Measurement:
    """One measurement, step by step; the device is held meanwhile."""

    def __init__(
        self, device: Device, runtime: Runtime, options: MeasureOptions, clock: Clock, calibration_dir: Path | None
    ) -> None:
        self._device, self._runtime, self._options, self._clock = device, runtime, options, clock
        self._calibration_dir = calibration_dir
        self._host = describe_host()

    def do(self, path: Path, rows: Array) -> DeploymentReport:
        """Load the model, check it, and measure everything."""
        began_s = time.perf_counter()
        options, device, clock = self._options, self._device, self._clock
        size = _model_bytes(path)
        meter = find_meter(device.kind) if device.url is None else f"none: {device.name} has no agent to read one"
        memory, wanted = PeakMemory(), options.runtime
        if wanted.cpus is None and wanted.threads == 1 and options.pin and device.url is None:
            wanted = replace(wanted, cpus=free_core())
        with on_cores(wanted.cpus):
            memory.start()
            before = clock()
            session = self._runtime.prepare(path, device=device, options=wanted)
            cold_start_ms = (clock() - before) / 1e6
            with session, _no_garbage_collection():
                rows = fit_rows(rows, session.input)
                check_finite(session, rows)
                warm_up(session, rows, warmup_s=options.warmup_s, clock=clock)
                peak_mb = memory.read_mb()
                report = self._take_turns(session, rows)
                energy = energy_of(session.run, single_batches(rows, session.input), meter)
        metrics = {**report.metrics, "model_bytes": float(size)}
        if device.url is None:  # else it was compiled here and sent there: neither says anything about the device
            metrics["cold_start_ms"] = cold_start_ms
            if peak_mb is not None:
                metrics["peak_memory_mb"] = peak_mb
        if energy.mj is not None:
            metrics["energy_mj"] = energy.mj
        return replace(
            report,
            metrics=metrics,
            tuned=getattr(session, "tuned", None),
            energy_mj=energy.mj,
            energy_source=energy.source,
            energy_predictions=energy.predictions,
            energy_s=energy.seconds,
            memory_source=memory.source if device.url is None else "none: the device is bare",
            duration_s=time.perf_counter() - began_s,
        )

    def _take_turns(self, session: Session, rows: Array) -> DeploymentReport:
        """Measure latency and throughput beside the reference, where there is one."""
        settings = self._options.runtime
        found: ReferenceModel | str = "it was not asked for"
        if self._options.reference:
            found = prepare_reference(self._runtime, device=self._device, options=settings)
        if isinstance(found, str):
            return replace(self._timed(session, rows, None, None), reference_note=found)
        with found.session:
            lane = found.lane(self._clock)
            calibrated = None
            if self._calibration_dir is not None:
                key = calibration_key(self._device, found.runtime, threads=settings.threads, host=self._host)
                calibrated = calibrated_ms(lane, lock_dir=self._calibration_dir, key=key, clock=self._clock)
            return self._timed(session, rows, lane, partial(describe_reference, found.runtime, calibrated=calibrated))

    def _timed(
        self, session: Session, rows: Array, lane: Lane | None, describe: Callable[[Lane], Reference] | None
    ) -> DeploymentReport:
        """Return a report of the times; what else there is to say is added to it."""
        options, clock = self._options, self._clock
        latency = take_latency(session, rows, reference=lane, options=options, clock=clock)
        batch, ratio = take_throughput(session, rows, latency=latency, reference=lane, options=options, clock=clock)
        reference = None
        if describe is not None and latency.reference is not None:
            reference = describe(latency.reference)
        unit_ms = 1e-6 if reference is None else reference.latency_ms
        timings, found = summarize(latency.lane.times, ratio=latency.ratio, unit_ms=unit_ms), latency.ratio
        intervals = dict(timings.intervals)
        if reference is not None:
            intervals["ratio"] = (found.low, found.high)
        return DeploymentReport(
            metrics={**timings.metrics, "throughput_rps": 1e3 * batch / max(ratio.value * unit_ms, 1e-9)},
            device=self._device.name,
            runtime=self._runtime.name,
            repeats=len(latency.lane.times),
            spread=Spread(
                iqr_ms=timings.iqr_ms,
                low_ms=found.low * unit_ms,
                high_ms=found.high * unit_ms,
                drift=found.drift,
                iqr_share=found.iqr,
                attempts=latency.attempts,
            ),
            batch=batch,
            threads=options.runtime.threads,
            ratio=None if reference is None else found.value,
            reference=reference,
            intervals=intervals,
            raw=timings.raw,
            versions=self._runtime.versions(),
            host=self._host,
        )


def _model_bytes(path: Path) -> int:
    """Return the size of a model on disk, weights in files beside it included."""
    try:
        size = path.stat().st_size
        named = {path.with_suffix(".bin").name} if path.suffix == ".xml" else _external_data(path)
    except OSError as e:
        raise unusable(f"The model {path} cannot be read: {e.strerror or e}.") from e
    folder = path.parent.resolve()
    beside = {(folder / name).resolve() for name in named}
    return size + sum(one.stat().st_size for one in beside if one.is_file() and one.is_relative_to(folder))


def _external_data(path: Path) -> set[str]:
    """Return the names of the files that an ONNX file keeps weights in, read from its bytes: ``onnx`` is no dependency here.

    A tensor names its file in an entry of ``external_data`` (onnx.proto, ``StringStringEntryProto``): the field 1 with the
    key ``location``, then the field 2 with the file's name behind its length, a varint.
    """
    if path.stat().st_size == 0:
        return set()
    names = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for found in _LOCATION.finditer(content):
            length = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(found[1]))
            names.add(content[found.end() : found.end() + length].decode("utf-8", errors="replace"))
    return {name for name in names if name and "\0" not in name}


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
