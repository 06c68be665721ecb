from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.deploy.interleaving import Lane, ratio_of, take_turns


class Machine:
    """A clock, and models that move it by as much as they take just then."""

    def __init__(self, slowness: Callable[[int], float] = lambda now_ns: 1.0) -> None:
        self.now_ns = 0
        self.slowness = slowness
        self.order: list[str] = []

    def clock(self) -> int:
        return self.now_ns

    def lane(self, name: str, takes_ns: float, *, block_ns: float = 1e6, batches: int = 3) -> Lane:
        def run(batch: object) -> None:
            self.order.append(f"{name}{batch}")
            self.now_ns += round(takes_ns * self.slowness(self.now_ns))

        return Lane(run, list(range(batches)), block_ns, takes_ns)


def test_lanes_take_turns_block_by_block() -> None:
    machine = Machine()
    a, b = machine.lane("a", 1e5, block_ns=3e5), machine.lane("b", 1e5, block_ns=2e5)
    take_turns([a, b], budget_ns=0, min_repeats=1, clock=machine.clock)
    assert machine.order[:10] == ["a0", "a1", "a2", "b0", "b1", "a0", "a1", "a2", "b2", "b0"]
    assert (len(a.blocks), len(b.blocks)) == (3, 3)


def test_a_block_s_first_predictions_are_not_counted() -> None:
    machine = Machine()
    lane = machine.lane("a", 1e4)  # 100 predictions to a block
    lane.take_turn(machine.clock)
    assert lane.at == 100
    assert len(lane.times) == 88


def test_a_slow_model_has_blocks_of_one() -> None:
    machine = Machine()
    slow, fast = machine.lane("s", 5e7), machine.lane("f", 1e5)
    take_turns([slow, fast], budget_ns=1e8, min_repeats=7, clock=machine.clock)
    assert len(slow.times) == len(slow.blocks) == 7


def test_it_ends_when_the_caller_knows_enough() -> None:
    machine = Machine()
    lane = machine.lane("a", 1e5)
    take_turns([lane], budget_ns=1e12, min_repeats=1, clock=machine.clock, settled=lambda: len(lane.blocks) == 5)
    assert len(lane.blocks) == 5


@pytest.mark.parametrize(
    "slowness",
    [
        lambda now: 3.0,
        lambda now: 1 + now / 1e8,  # slower and slower
        lambda now: 1.6 if now // 30_000_000 % 2 else 1.0,  # another process comes and goes
    ],
)
def test_the_ratio_does_not_feel_the_machine(slowness: Callable[[int], float]) -> None:
    machine = Machine(slowness)
    lane, reference = machine.lane("a", 3e4), machine.lane("r", 5e4)
    take_turns([lane, reference], budget_ns=3e8, min_repeats=1, clock=machine.clock)
    found = ratio_of(lane, reference)
    assert found.value == pytest.approx(0.6, rel=0.02)
    assert found.low <= found.value <= found.high
    assert found.drift < 0.02


def test_what_only_the_model_feels_is_seen_as_drift() -> None:
    machine = Machine()
    lane, reference = machine.lane("a", 3e4), machine.lane("r", 5e4)
    for at in range(20):
        lane.estimate_ns = 3e4
        lane.blocks.append(3e4 * (1 + at / 10))
        reference.take_turn(machine.clock)
    found = ratio_of(lane, reference)
    assert found.drift > 0.5
    assert found.iqr > 0.3
    assert found.rounds == 20


def test_without_a_reference_it_is_nanoseconds() -> None:
    machine = Machine()
    lane = machine.lane("a", 3e4)
    take_turns([lane], budget_ns=2e7, min_repeats=1, clock=machine.clock)
    assert ratio_of(lane, None).value == 3e4
