"""Take the times of a loaded model by turns with the reference: single predictions, then batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .interleaving import Clock, Lane, OwnClockLane, Ratio, lane_of, ratio_of, take_turns
from .options import MeasureOptions
from .rows import fill_batch, single_batches
from .runtimes import Session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BLOCK_NS = 4e6
_LEAST_BLOCKS = 12  # of the time for latencies, so that there is a median of ratios also where that is short
_TAIL_REPEATS = 1000  # where time allows, as many predictions as a 99th percentile needs
_SETTLE_SHARE = 0.15  # of the time for latencies: a few milliseconds alone say nothing about a machine at work
_THROUGHPUT_SHARE = 0.25
_BATCH_NS = 1e6  # longer batches are interrupted by other processes on a busy machine, which no median takes out
_LEAST_BATCH = 8
_UNREST = 0.15  # the quartiles' distance above which it is measured again
_ATTEMPTS = 2


@dataclass(frozen=True)
class Latency:
    """The times of single predictions.

    Args:
        lane: The model's.
        reference: The reference's beside it, if there is one.
        ratio: How they compare; without a reference, the model's in nanoseconds.
        attempts: How often it was measured.
    """

    lane: Lane
    reference: Lane | None
    ratio: Ratio
    attempts: int


def take_latency(
    session: Session, rows: Array, *, reference: Lane | None, options: MeasureOptions, clock: Clock
) -> Latency:
    """Time single predictions until the median is known well enough; again if the machine was too restless.

    Args:
        session: The model, warm.
        rows: Rows as it reads them.
        reference: The reference's lane, warm; its times are not touched.
        options: How thorough.
        clock: Nanoseconds, never going back.
    """
    singles = single_batches(rows, session.input)
    before = clock()
    session.run(singles[0])
    estimate = clock() - before
    budget_ns = options.budget_s * (1.0 - _THROUGHPUT_SHARE) * 1e9
    block_ns = budget_ns / _LEAST_BLOCKS
    attempts: list[Latency] = []
    for _ in range(_ATTEMPTS):
        lane = lane_of(session, singles, block_ns=min(_BLOCK_NS, block_ns), estimate_ns=estimate)
        beside = None if reference is None else reference.anew(block_ns / 2)
        began = clock()
        take_turns(
            [lane] if beside is None else [lane, beside],
            budget_ns=budget_ns,
            min_repeats=options.min_repeats,
            clock=clock,
            settled=partial(_is_settled, lane, beside, options.precision, clock, began + _SETTLE_SHARE * budget_ns),
        )
        attempts.append(Latency(lane, beside, ratio_of(lane, beside), len(attempts) + 1))
        if attempts[-1].ratio.iqr <= _UNREST or clock() - began > 2 * budget_ns:
            break
    best = min(attempts, key=lambda attempt: attempt.ratio.iqr)
    return Latency(best.lane, best.reference, best.ratio, len(attempts))


def _is_settled(lane: Lane, reference: Lane | None, precision: float, clock: Clock, not_before: float) -> bool:
    """Say whether the median is known well enough, and holds over time."""
    if len(lane.times) < _TAIL_REPEATS or len(lane.blocks) < _LEAST_BLOCKS or clock() < not_before:
        return False
    found = ratio_of(lane, reference)
    return found.high - found.low <= 2 * precision * found.value and found.drift <= 2 * precision


def take_throughput(
    session: Session,
    rows: Array,
    *,
    latency: Latency,
    reference: Lane | None,
    options: MeasureOptions,
    clock: Clock,
) -> tuple[int, Ratio]:
    """Time batches by turns with the reference.

    A bare device runs what it was compiled for, single predictions: its throughput follows from their latency.

    Args:
        session: The model, warm.
        rows: Rows as it reads them.
        latency: What single predictions took: a slow model gets smaller batches.
        reference: The reference's lane, warm; its times are not touched.
        options: How thorough.
        clock: Nanoseconds, never going back.

    Returns:
        The rows in a batch, and a batch's time as a multiple of the reference's; without one, in nanoseconds.
    """
    if isinstance(latency.lane, OwnClockLane):
        return session.input.batch or 1, latency.ratio
    budget_ns = options.budget_s * _THROUGHPUT_SHARE * 1e9
    size = session.input.batch or max(1, min(options.batch, int(budget_ns / max(latency.lane.estimate_ns, 1.0))))
    began = clock()
    many, estimate = _short_batch(session, rows, size, clock)
    size = len(many)
    lane = Lane(session.run, [many], min(_BLOCK_NS, budget_ns / 8), estimate)
    beside = None if reference is None else reference.anew(budget_ns / 16)
    lanes = [lane] if beside is None else [lane, beside]
    take_turns(lanes, budget_ns=budget_ns - (clock() - began), min_repeats=1, clock=clock)
    return size, ratio_of(lane, beside)


def _short_batch(session: Session, rows: Array, size: int, clock: Clock) -> tuple[Array, int]:
    """Return a batch of ``size`` rows, halved until it is short, and how long it takes in nanoseconds.

    Eight rows stay in any case, and a size that the model fixes.
    """
    while True:
        many = fill_batch(rows, size)
        times = []
        for _ in range(2):  # the first batch of a size also allocates
            before = clock()
            session.run(many)
            times.append(clock() - before)
        if min(times) <= _BATCH_NS or size // 2 < _LEAST_BATCH or session.input.batch is not None:
            return many, min(times)
        size //= 2


def warm_up(session: Session, rows: Array, *, warmup_s: float, clock: Clock) -> None:
    """Predict without counting.

    Args:
        session: The model.
        rows: Rows as it reads them.
        warmup_s: For how long, in seconds; at least three times.
        clock: Nanoseconds, never going back.
    """
    single = rows[: session.input.batch or 1]
    end = clock() + round(warmup_s * 1e9)
    runs = 0
    while runs < 3 or clock() < end:
        session.run(single)
        runs += 1
