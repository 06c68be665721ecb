from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from omniforge.components.worker.lane import Lane, Work

PATIENCE_S = 10.0


class Record:
    """Which work was done, which was dropped."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.dropped: list[str] = []

    def work(self, name: str, act: Callable[[], object] = lambda: None) -> Work:
        def do() -> None:
            act()
            self.done.append(name)

        return Work(do, lambda: self.dropped.append(name))


@pytest.fixture
def record() -> Record:
    return Record()


def fail() -> None:
    raise OSError("the store is gone")


def test_work_is_done_in_order_while_the_owner_goes_on(record: Record) -> None:
    gate = threading.Event()
    with Lane() as lane:
        lane.submit(record.work("first", lambda: gate.wait(PATIENCE_S)))
        lane.submit(record.work("second"))
        assert record.done == []
        gate.set()
    assert (record.done, record.dropped) == (["first", "second"], [])


def test_a_full_lane_makes_its_owner_wait(record: Record) -> None:
    gate, passed = threading.Event(), threading.Event()
    with Lane(depth=1) as lane:
        lane.submit(record.work("first", lambda: gate.wait(PATIENCE_S)))

        def fill() -> None:
            for name in ("second", "third", "fourth"):
                lane.submit(record.work(name))
            passed.set()

        owner = threading.Thread(target=fill)
        owner.start()
        assert not passed.wait(0.2)
        gate.set()
        owner.join(PATIENCE_S)
        assert passed.is_set()
    assert record.done == ["first", "second", "third", "fourth"]


def test_after_an_error_everything_is_dropped_and_the_owner_is_told_each_time(record: Record) -> None:
    told: list[str] = []

    def owner() -> None:
        with Lane(depth=4) as lane:
            lane.submit(record.work("first", fail))
            lane.submit(record.work("second"))
            for _ in range(200):
                try:
                    lane.check()
                except OSError as e:
                    told.append(str(e))
                threading.Event().wait(0.01)
                if len(told) == 2:
                    break
            lane.submit(record.work("third"))

    with pytest.raises(OSError, match="gone"):
        owner()
    assert told == ["the store is gone"] * 2
    assert record.done == []
    assert sorted(record.dropped) == ["second", "third"]


def test_the_owners_exception_goes_on_and_what_has_not_begun_is_dropped(record: Record) -> None:
    gate, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        gate.wait(PATIENCE_S)
        fail()  # is not told in place of the owner's own

    def interrupted() -> None:
        with Lane() as lane:
            lane.submit(record.work("first", hold))
            assert begun.wait(PATIENCE_S)
            lane.submit(record.work("second"))
            gate.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (record.done, record.dropped) == ([], ["second"])
