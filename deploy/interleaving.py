"""Time several models by turns, in blocks of a few milliseconds, so that a machine's drift reaches all of them alike.

What comes out for each is the time of every counted prediction, and one median for every block. The ratio of two models'
blocks of one round hardly depends on how fast the machine was just then: clock frequency, heat, and work on the
neighbouring cores cancel. What does not cancel is what only one of the two feels: caches that another process empties
slow a model of a megabyte and not one of ten kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .intervals import quantile_interval
from .runtimes import Session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Clock = Callable[[], int]

_REFILL = 8  # one in so many predictions of a block, its first ones, fills the caches again and is not counted
_LEAST_ROUNDS = 3
_MOST_CALLS = 4096
_REMOTE_REPEATS = 3


@dataclass
class Lane:
    """One model that takes its turns.

    Args:
        run: Predicts one batch.
        batches: What it predicts, in turn.
        block_ns: How long one block should be.
        estimate_ns: How long one prediction takes, roughly.
        times: Of every counted prediction, in nanoseconds.
        blocks: The median of each block, in nanoseconds.
    """

    run: Callable[[Array], Any]
    batches: Sequence[Array]
    block_ns: float
    estimate_ns: float
    times: list[int] = field(default_factory=list)
    blocks: list[float] = field(default_factory=list)
    at: int = 0

    def take_turn(self, clock: Clock) -> None:
        """Predict for one block."""
        calls = max(1, min(_MOST_CALLS, round(self.block_ns / max(self.estimate_ns, 1.0))))
        run, batches, count = self.run, self.batches, len(self.batches)
        times = []
        for at in range(self.at, self.at + calls):
            batch = batches[at % count]
            before = clock()
            run(batch)
            times.append(clock() - before)
        self.at += calls
        counted = times[calls // _REFILL :]
        self.times += counted
        self.estimate_ns = sorted(counted)[len(counted) // 2]
        self.blocks.append(self.estimate_ns)

    def anew(self, most_ns: float) -> Lane:
        """Return the same lane without its times, its blocks shortened to ``most_ns`` nanoseconds."""
        return replace(self, block_ns=min(self.block_ns, most_ns), times=[], blocks=[], at=0)


@dataclass
class OwnClockLane(Lane):
    """A model on a bare device, which is timed there: the way there and back is no part of it.

    Args:
        latencies_ms: Returns the times of so many predictions of a batch, each a mean over some milliseconds.
    """

    latencies_ms: Callable[..., Sequence[float]] = field(kw_only=True)

    def take_turn(self, clock: Clock) -> None:
        """Let the device time a few predictions."""
        del clock
        batch = self.batches[self.at % len(self.batches)]
        self.at += 1
        times = [value * 1e6 for value in self.latencies_ms(batch, repeats=_REMOTE_REPEATS)]
        self.times += [round(value) for value in times]
        self.estimate_ns = sorted(times)[len(times) // 2]
        self.blocks.append(self.estimate_ns)


def take_turns(
    lanes: Sequence[Lane],
    *,
    budget_ns: float,
    min_repeats: int,
    clock: Clock,
    settled: Callable[[], bool] | None = None,
) -> None:
    """Let each lane predict a block in turn, until the time is over or the caller knows enough.

    Args:
        lanes: The models.
        budget_ns: Time for all of them together; three rounds and ``min_repeats`` are done in any case.
        min_repeats: How many counted predictions the first lane has at least.
        clock: Nanoseconds, never going back.
        settled: Asked after every round; ``True`` ends it.
    """
    started = clock()
    while True:
        for lane in lanes:
            lane.take_turn(clock)
        enough = len(lanes[0].times) >= min_repeats and len(lanes[0].blocks) >= _LEAST_ROUNDS
        if enough and (clock() - started > budget_ns or (settled is not None and settled())):
            return


def lane_of(session: Session, batches: Sequence[Array], *, block_ns: float, estimate_ns: float) -> Lane:
    """Return the lane of a loaded model: by this machine's clock, or by its device's own where the session has one.

    Args:
        session: The model. A session of a bare device has a method ``latencies_ms(batch, repeats=n)``.
        batches: What it predicts, in turn.
        block_ns: How long one block should be.
        estimate_ns: How long one prediction takes, roughly.
    """
    own = getattr(session, "latencies_ms", None)
    if own is None:
        return Lane(session.run, batches, block_ns, estimate_ns)
    return OwnClockLane(session.run, batches, block_ns, estimate_ns, latencies_ms=own)


@dataclass(frozen=True)
class Ratio:
    """How many times as long one model takes as another.

    Args:
        value: The median over the rounds.
        low: Lower end of its 95 % confidence interval; with few rounds the smallest ratio.
        high: Upper end; with few rounds the largest ratio.
        iqr: Distance between the quartiles of the rounds' ratios, as a part of ``value``.
        drift: How far apart the medians of the quarters of the rounds are, as a part of ``value``.
        rounds: How many rounds.
    """

    value: float
    low: float
    high: float
    iqr: float
    drift: float
    rounds: int


def ratio_of(lane: Lane, reference: Lane | None, *, parts: int = 4) -> Ratio:
    """Compare two lanes that took turns, the reference after the other one.

    Each block is divided by the mean of the reference's blocks before and after it, so that a steady drift cancels too.

    Args:
        lane: The model.
        reference: What it is compared with; ``None``: a reference that always takes 1 ns.
        parts: Into how many parts the rounds are split to see a drift.
    """
    import numpy as np

    blocks = np.asarray(lane.blocks)
    if reference is None:
        ratios = blocks
    else:
        after = np.asarray(reference.blocks[: len(blocks)])
        before = np.concatenate([after[:1], after[:-1]])
        ratios = blocks / np.maximum((before + after) / 2, 1e-9)
    ordered = np.sort(ratios)
    low, high = quantile_interval(ordered, 0.5)
    first, median, third = np.percentile(ordered, [25.0, 50.0, 75.0])
    medians = [float(np.median(part)) for part in np.array_split(ratios, parts) if len(part)]
    scale = max(float(median), 1e-12)
    return Ratio(
        value=float(median),
        low=float(ordered[0]) if low is None else low,
        high=float(ordered[-1]) if high is None else high,
        iqr=float(third - first) / scale,
        drift=(max(medians) - min(medians)) / scale,
        rounds=len(ratios),
    )
