"""Compare runtimes on one model: all loaded in one process, predicting by turns. It compares times, not predictions.

The figures that need a process of their own (cold start, peak memory) come from :func:`measure_isolated`, one runtime at
a time; what is compared here is latency, where the machine's drift would otherwise decide who wins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MeasurementError
from .devices import Device, find_device
from .interleaving import Clock, Lane, Ratio, ratio_of, take_turns
from .locking import device_lock
from .options import MeasureOptions
from .pinning import free_core, on_cores
from .rows import check_finite, fit_rows, single_batches
from .runtimes import RUNTIMES, RuntimeOptions, Session
from .timings import summarize

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BASELINE = "onnxruntime"
_BLOCK_NS = 4e6
_WARM_UPS = 5


@dataclass(frozen=True)
class Compared:
    """One runtime among others.

    Args:
        runtime: Its name.
        latencies: ``latency_ms``, ``latency_p90_ms``, ``latency_p99_ms`` as the clock showed them; empty if it refused.
        intervals: The ends of their 95 % confidence intervals.
        repeats: How many predictions they come from.
        relative: Its latency as a multiple of the baseline's, with a 95 % confidence interval: the median over rounds;
            ``None`` without a baseline.
        tuned: Whether the runtime has tuned the model; ``None`` where nothing is tuned.
        refused: Why it did not measure, or nothing.
    """

    runtime: str
    latencies: Mapping[str, float]
    intervals: Mapping[str, tuple[float | None, float | None]]
    repeats: int = 0
    relative: tuple[float, float, float] | None = None
    tuned: bool | None = None
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Compared:
        """Read what :meth:`to_dict` wrote."""
        intervals = {name: (low, high) for name, (low, high) in content["intervals"].items()}
        relative = content["relative"]
        return cls(**{**content, "intervals": intervals, "relative": None if relative is None else tuple(relative)})


def compare(
    path: str | Path,
    *,
    rows: Array,
    runtimes: Sequence[str],
    device: str | Device = "local",
    options: MeasureOptions | None = None,
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    lock_dir: str | Path | None = None,
    clock: Clock = time.perf_counter_ns,
    on_start: Callable[[], None] | None = None,
) -> list[Compared]:
    """Let runtimes predict the same rows by turns, in this process.

    Args:
        path: The ONNX file.
        rows: Real rows, ``n x input.shape``.
        runtimes: Their names; ONNX Runtime, where it is among them, is what the others are compared with, else the first.
        device: The device, or its name.
        options: ``budget_s`` is the time for each runtime.
        extras: Settings by runtime, in place of ``options.runtime.extra``.
        lock_dir: A folder for locks; ``None``: no lock.
        clock: Nanoseconds, never going back.
        on_start: Called once, when the device is this process's.

    Raises:
        UnknownNameError: There is no such device or runtime.
        SpecError: The rows do not fit the model.
        MeasurementError: The device stays busy.
    """
    options = options or MeasureOptions()
    device = find_device(device) if isinstance(device, str) else device
    lock = device_lock(Path(lock_dir), device.name, timeout_s=options.lock_timeout_s) if lock_dir else nullcontext()
    wanted = options.runtime
    with lock, ExitStack() as sessions:
        if on_start is not None:
            on_start()
        pinned = wanted.threads == 1 and options.pin and wanted.cpus is None
        sessions.enter_context(on_cores(free_core() if pinned else wanted.cpus))
        lanes: dict[str, Lane] = {}
        refused: dict[str, str] = {}
        tuned: dict[str, bool | None] = {}
        for name in sorted(runtimes, key=lambda name: name == BASELINE):  # the baseline's turn is after the others
            settings = RuntimeOptions(wanted.threads, wanted.cpus, (extras or {}).get(name, wanted.extra))
            with _refusals(refused, name):
                session = RUNTIMES.get(name)().prepare(Path(path), device=device, options=settings)
                sessions.enter_context(session)
                lanes[name] = _lane(session, rows, clock)
                tuned[name] = getattr(session, "tuned", None)
        if lanes:
            take_turns(
                list(lanes.values()),
                budget_ns=options.budget_s * 1e9 * len(lanes),
                min_repeats=options.min_repeats,
                clock=clock,
            )
        base = lanes.get(BASELINE if BASELINE in lanes else next(iter(lanes), ""))
        return [
            _compared(name, lanes[name], base, tuned[name])
            if name in lanes
            else Compared(name, {}, {}, refused=refused[name])
            for name in runtimes
        ]


@contextmanager
def _refusals(refused: dict[str, str], name: str) -> Iterator[None]:
    try:
        yield
    except (MeasurementError, ImportError) as e:  # MissingDependencyError is one
        refused[name] = str(e)


def _lane(session: Session, rows: Array, clock: Clock) -> Lane:
    """Return a warm session's lane."""
    fitting = fit_rows(rows, session.input)
    check_finite(session, fitting)
    singles = single_batches(fitting, session.input)
    for at in range(_WARM_UPS):
        session.run(singles[at % len(singles)])
    before = clock()
    session.run(singles[0])
    return Lane(session.run, singles, _BLOCK_NS, clock() - before)


def _compared(name: str, lane: Lane, base: Lane | None, tuned: bool | None) -> Compared:
    own = ratio_of(lane, None)
    timings = summarize(lane.times, ratio=own, unit_ms=1e-6)
    relative = Ratio(1.0, 1.0, 1.0, 0.0, 0.0, own.rounds) if lane is base else ratio_of(lane, base)
    return Compared(
        runtime=name,
        latencies=timings.metrics,
        intervals=timings.intervals,
        repeats=len(lane.times),
        relative=(relative.value, relative.low, relative.high),
        tuned=tuned,
    )
