from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from omniforge.deploy import MeasureOptions, Session
from omniforge.deploy.interleaving import Lane, Ratio
from omniforge.deploy.latency import Latency, take_latency, take_throughput, warm_up
from omniforge.deploy.runtimes import TensorSpec

ANY = Ratio(1.0, 1.0, 1.0, 0.0, 0.0, 1)
ROWS = np.zeros((40, 3), dtype=np.float32)


class Model(Session):
    """A model that moves its own clock: so many microseconds for each row."""

    def __init__(self, times_us: Iterator[float]) -> None:
        self.input, self.times_us, self.now_ns = TensorSpec((3,)), times_us, 0
        self.batches: list[int] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        self.now_ns += round(next(self.times_us) * 1e3 * len(batch))
        return np.zeros((len(batch), 1), dtype=np.float32)

    def clock(self) -> int:
        return self.now_ns

    def reference(self, takes_us: float) -> Lane:
        def run(_: object) -> None:
            self.now_ns += round(takes_us * 1e3)

        return Lane(run, [ROWS], 2e6, takes_us * 1e3)


def forever(*times_us: float) -> Iterator[float]:
    while True:
        yield from times_us


def test_latency_is_a_ratio_to_the_reference() -> None:
    model = Model(forever(30.0))
    reference = model.reference(60.0)
    found = take_latency(model, ROWS, reference=reference, options=MeasureOptions(), clock=model.clock)
    assert found.ratio.value == pytest.approx(0.5)
    assert found.attempts == 1
    assert len(found.lane.times) >= 1000
    assert not reference.blocks  # the lane that was given is only copied
    assert set(model.batches) == {1}


def test_a_restless_machine_is_measured_twice_at_most() -> None:
    model = Model(forever(*[30.0] * 300, *[60.0] * 300))
    found = take_latency(model, ROWS, reference=None, options=MeasureOptions(), clock=model.clock)
    assert found.attempts == 2
    assert found.ratio.iqr > 0.15


def test_a_slow_model_is_not_measured_again() -> None:
    model = Model(forever(100_000.0, 300_000.0))
    found = take_latency(model, ROWS, reference=None, options=MeasureOptions(min_repeats=20), clock=model.clock)
    assert found.attempts == 1
    assert len(found.lane.times) == 20


def test_a_short_budget_still_has_blocks_enough_for_an_interval() -> None:
    model = Model(forever(30.0))
    options = MeasureOptions(budget_s=0.01)
    found = take_latency(model, ROWS, reference=model.reference(50.0), options=options, clock=model.clock)
    assert found.ratio.rounds >= 6


def test_throughput_has_batches_that_fit_the_budget() -> None:
    model = Model(forever(10.0))
    reference = model.reference(50.0)
    options = MeasureOptions(batch=32)
    quick, slow = (Latency(Lane(model.run, [], 0.0, ns), None, ANY, 1) for ns in (1e4, 4e7))
    size, ratio = take_throughput(model, ROWS, latency=quick, reference=reference, options=options, clock=model.clock)
    assert size == 32
    assert ratio.value == pytest.approx(32 * 10 / 50)
    size, _ = take_throughput(model, ROWS, latency=slow, reference=None, options=options, clock=model.clock)
    assert size == 2


@pytest.mark.parametrize(("takes_us", "size"), [(3.0, 256), (44.0, 16), (300.0, 8), (30_000.0, 3)])
def test_batches_are_so_short_that_other_processes_do_not_interrupt_them(takes_us: float, size: int) -> None:
    model = Model(forever(takes_us))
    latency = Latency(Lane(model.run, [], 0.0, takes_us * 1e3), None, ANY, 1)
    found, _ = take_throughput(
        model, ROWS, latency=latency, reference=None, options=MeasureOptions(), clock=model.clock
    )
    assert found == size


def test_a_warm_up_has_three_predictions_at_least() -> None:
    model = Model(forever(50_000.0))
    warm_up(model, ROWS, warmup_s=0.001, clock=model.clock)
    assert model.batches == [1, 1, 1]


def test_a_bare_device_is_timed_by_its_own_clock() -> None:
    class Bare(Model):
        def latencies_ms(self, batch: np.ndarray, *, repeats: int) -> list[float]:
            self.now_ns += 10**7  # the way there and back
            return [0.25] * repeats

    model = Bare(forever(9000.0))
    found = take_latency(model, ROWS, reference=None, options=MeasureOptions(), clock=model.clock)
    assert found.ratio.value == pytest.approx(0.25e6)
    size, ratio = take_throughput(
        model, ROWS, latency=found, reference=None, options=MeasureOptions(), clock=model.clock
    )
    assert (size, ratio) == (1, found.ratio)
