from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.sidecar.device.turns import Turns


def filled(*wishes: str, limit: int = 1000) -> Turns[str]:
    turns: Turns[str] = Turns(limit=limit)
    for wish in wishes:
        turns.add(wish[0], wish)
    return turns


def taken(turns: Turns[str]) -> list[str]:
    found = []
    while (wish := turns.take()) is not None:
        found.append(wish)
    return found


def test_clients_take_turns_and_each_keeps_its_order() -> None:
    assert taken(filled("a1", "a2", "a3", "a4", "b1", "c1", "c2")) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_one_with_a_hundred_does_not_starve_one_that_asks_for_one_at_a_time() -> None:
    turns = filled(*(f"a{i}" for i in range(100)))
    served = []
    for i in range(5):
        served.append(turns.take())
        turns.add("b", f"b{i}")  # asks for the next when it has been served
        served.append(turns.take())
    assert served == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4"]


def test_those_who_ask_for_one_at_a_time_do_not_starve_the_one_with_many() -> None:
    turns = filled("a1", "a2", "b1", "c1", "d1")
    order = []
    for i in range(2, 8):
        for _ in range(3):
            wish = turns.take()
            assert wish is not None
            order.append(wish)
            if wish[0] != "a":
                turns.add(wish[0], f"{wish[0]}{i}")
    assert order.index("a2") == 4


def test_one_that_stops_waiting_is_passed_over() -> None:
    turns = filled("a1", "b1", "b2")
    assert turns.remove("b", "b1")
    assert not turns.remove("b", "b1")
    assert not turns.remove("z", "z1")
    assert len(turns) == 2
    assert taken(turns) == ["a1", "b2"]


def test_no_more_may_wait_than_the_limit() -> None:
    turns = filled("a1", "b1", limit=2)
    assert turns.full
    with pytest.raises(OverflowError, match="2 wait already"):
        turns.add("c", "c1")
    turns.take()
    turns.add("c", "c1")


def test_nothing_waits_in_an_empty_queue() -> None:
    assert filled().take() is None
    assert filled().before("a", "a1") == 0


@pytest.mark.property
@given(
    st.lists(st.sampled_from("abcd"), max_size=12),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=12),
    st.data(),
)
def test_how_many_are_before_is_how_many_are_served_before(earlier: list[str], waiting: list[str], data: Any) -> None:
    turns = filled(*(f"{client}{i}" for i, client in enumerate(earlier)))
    for _ in range(data.draw(st.integers(0, len(earlier)))):
        turns.take()
    for i, client in enumerate(waiting):
        turns.add(client, f"{client}w{i}")
    wish = data.draw(st.sampled_from([f"{client}w{i}" for i, client in enumerate(waiting)]))
    told = turns.before(wish[0], wish)
    assert taken(turns).index(wish) == told
