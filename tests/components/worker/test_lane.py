from __future__ import annotations

import threading

import pytest

from omniforge.components.worker.lane import Lane


def test_work_is_done_in_order_while_the_owner_goes_on() -> None:
    gate, done = threading.Event(), []
    with Lane() as lane:
        lane.submit(lambda: done.append(("waited", gate.wait(10))))
        lane.submit(lambda: done.append(("second", True)))
        assert done == []
        gate.set()
        lane.drain()
        assert done == [("waited", True), ("second", True)]


def test_a_full_lane_makes_its_owner_wait() -> None:
    gate, passed = threading.Event(), threading.Event()
    with Lane(depth=1) as lane:
        lane.submit(lambda: gate.wait(10) and None)

        def fill() -> None:
            lane.submit(lambda: None)  # waits in the queue, or is taken at once
            lane.submit(lambda: None)
            lane.submit(lambda: None)
            passed.set()

        owner = threading.Thread(target=fill)
        owner.start()
        assert not passed.wait(0.2)
        gate.set()
        owner.join(10)
        assert passed.is_set()


def test_what_goes_wrong_reaches_the_owner_and_ends_the_work() -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("the store is gone")

    with Lane(depth=4) as lane:
        lane.submit(fail)
        lane.submit(lambda: done.append("later"))
        with pytest.raises(OSError, match="gone"):
            lane.drain()
    assert done == []


def test_an_exception_waits_for_nothing_and_drops_what_has_not_begun() -> None:
    gate, begun = threading.Event(), threading.Event()
    done: list[str] = []

    def hold() -> None:
        begun.set()
        gate.wait(30)
        done.append("first")

    def interrupted() -> None:
        with Lane() as lane:
            lane.submit(hold)
            assert begun.wait(10)
            lane.submit(lambda: done.append("second"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == []
    gate.set()
