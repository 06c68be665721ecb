from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search.space.permutation import Permutation, discordant, moved, swapped, turned
from omniforge.search.space.values import ABSENT
from omniforge.search.space.versions import Projection

ORDER = Permutation(("a", "b", "c", "d", "e"))
SPACE = SearchSpace.from_yaml("order: {type: permutation, items: [a, b, c, d, e]}\nx: {type: float, range: [0, 1]}")

items = st.lists(
    st.one_of(st.sampled_from(["sgd", "no", "a b", "é", ""]), st.integers(-3, 3), st.floats(0.25, 0.75), st.booleans()),
    min_size=2,
    max_size=8,
    unique_by=lambda item: str(item).lower(),
)


@st.composite
def orders(draw: st.DrawFn, *, count: int = 1) -> tuple[Permutation, list[list[Any]]]:
    domain = Permutation(tuple(draw(items)))
    return domain, [draw(st.permutations(domain.items)) for _ in range(count)]


def test_a_value_is_a_list_of_all_items() -> None:
    config = SPACE.sample(np.random.default_rng(0))
    assert sorted(config["order"]) == ["a", "b", "c", "d", "e"]
    assert SPACE.default()["order"] == ["a", "b", "c", "d", "e"]
    assert ORDER.size() == 120
    assert SPACE.size() == float("inf")
    assert SPACE.edit("order", default=["e", "d", "c", "b", "a"]).default()["order"][0] == "e"


@pytest.mark.parametrize("value", [["a", "b"], ["a", "a", "b", "c", "d"], ["a", "b", "c", "d", "f"], "abcde", {}, None])
def test_what_is_no_order_is_refused_by_name(value: Any) -> None:
    with pytest.raises(SpaceError, match=r"order: .* is not allowed; expected a list with each of 'a', 'b'"):
        SPACE.validate({"order": value, "x": 0.5})


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("", "the key 'items' is missing", "items: [resize, crop, flip]"),
        ("items: [a]", "items is ['a']; expected 2 to 50 values", "items: ["),
        ("items: 4", "items is 4; expected 2 to 50 values", "items: ["),
        ("items: {a: 1, b: 2}", "expected 2 to 50 values", "items: ["),
        ("items: [" + ", ".join(map(str, range(51))) + "]", "items is 51 of them", "items: ["),
        ("items: [a, b, a]", "the value 'a' stands twice in items", "Remove one of them."),
        ("items: [1, 2, 1.0]", "the value 1 stands twice in items", "Remove one of them."),
        ("items: [1, 2, '1']", "1 and '1' in items read alike", "another name"),
        ("items: [a, [b]]", "['b'] in items is not a name, a number or a bool", "items: ["),
        ("items: [a, b], range: [a, b]", "unknown key 'range'", "items"),
        ("items: [a, b], default: [a]", "default ['a'] is outside", "Change the default"),
        ("items: [a, b], submodule: {a: {}}", "a parameter of type permutation has no submodule", "An int repeats"),
    ],
)
def test_wrong_declarations_are_refused_with_their_line(spec: str, message: str, hint: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(f"n: {{type: int, range: [1, 2]}}\nx: {{type: permutation, {spec}}}")
    assert "line 2: x: " in str(caught.value)
    assert message in str(caught.value)
    assert hint in str(caught.value.hint)


def test_a_set_of_items_has_the_order_in_which_it_is_written() -> None:
    assert SearchSpace.from_yaml("x: {type: permutation, items: {b, a}}").default() == {"x": ["b", "a"]}


@pytest.mark.parametrize("rule", ["y: {type: bool, when: {order: [a, b, c]}}", "forbid: [{order: a}]"])
def test_conditions_do_not_read_orders(rule: str) -> None:
    with pytest.raises(SpaceError, match="order is a permutation") as caught:
        SearchSpace.from_yaml(f"order: {{type: permutation, items: [a, b, c]}}\n{rule}")
    assert "Let a choice" in str(caught.value.hint)


@given(orders(), st.integers(0, 2**32))
def test_moves_give_other_orders(found: tuple[Permutation, list[list[Any]]], seed: int) -> None:
    domain, (value,) = found
    other = domain.mutate(value, np.random.default_rng(seed))
    assert domain.contains(other)
    assert domain.encode(other) != domain.encode(value)


@settings(deadline=None)
@given(orders())
def test_places_and_orders_are_each_other(found: tuple[Permutation, list[list[Any]]]) -> None:
    domain, (value,) = found
    places = domain.encode(value)
    assert sorted(places) == list(range(len(value)))
    assert domain.decode(places) == domain.normalize(value)
    assert domain.decode([10.0 * place - 3.0 for place in places]) == domain.normalize(value)


@given(orders(count=3))
def test_discordant_pairs_are_a_distance(found: tuple[Permutation, list[list[Any]]]) -> None:
    domain, values = found
    one, other, third = map(domain.encode, values)
    assert discordant(one, one) == 0
    assert discordant(one, other) == discordant(other, one) <= discordant(one, third) + discordant(third, other)
    n = len(one)
    assert discordant(one, [n - 1 - place for place in one]) == n * (n - 1) // 2


def test_every_move_is_drawn_and_nothing_else() -> None:
    value, pairs = ["c", "a", "e", "b", "d"], list(itertools.permutations(range(5), 2))
    possible = {tuple(make(value, i, j)) for make in (swapped, turned) for i, j in pairs if i < j}
    possible |= {tuple(moved(value, i, j)) for i, j in pairs}
    rng = np.random.default_rng(0)
    assert {tuple(ORDER.mutate(value, rng)) for _ in range(2000)} == possible


def test_draws_are_even() -> None:
    small, rng = Permutation((1, 2, 3)), np.random.default_rng(0)
    drawn = [tuple(small.sample(rng)) for _ in range(3000)]
    assert all(abs(drawn.count(order) - 500) < 100 for order in itertools.permutations((1, 2, 3)))


def test_alternatives_come_by_distance() -> None:
    found = list(ORDER.alternatives(["e", "d", "c", "b", "a"]))
    away = [discordant(ORDER.encode(["e", "d", "c", "b", "a"]), ORDER.encode(other)) for other in found]
    assert len({tuple(other) for other in found}) == 119
    assert away == sorted(away)
    assert away[0] == 1
    long = Permutation(tuple(range(20)))
    others = list(long.alternatives(list(range(20))))
    assert len(others) == 190
    assert others[0] == swapped(range(20), 0, 1)


def test_items_that_come_and_go_leave_the_order_of_the_rest() -> None:
    changed = SPACE.edit("order", items=["x", "a", "c", "y", "e"])
    found = changed.project({"order": ["e", "d", "c", "b", "a"], "x": 0.5}, SPACE)
    assert found == Projection({"order": ["e", "c", "a", "x", "y"], "x": 0.5}, exact=False)
    assert str(SPACE.diff(changed)) == "~ order.items: + 'x', + 'y', - 'b', - 'd'"
    assert SPACE.edit("order", items=["v", "w", "e"]).project(SPACE.default(), SPACE).config is None
    assert ORDER.adapt("a") is ABSENT
    assert ORDER.adapt([["a"], {}]) is ABSENT


def test_items_in_another_order_are_another_default_and_the_same_values() -> None:
    turned_around = SPACE.edit("order", items=["e", "d", "c", "b", "a"])
    assert turned_around != SPACE
    assert str(SPACE.diff(turned_around)) == "~ order.items: order ['e', 'd', 'c', 'b', 'a']"
    config = {"order": ["b", "a", "c", "e", "d"], "x": 0.5}
    assert turned_around.project(config, SPACE) == Projection(config, exact=True)
    assert turned_around.config_hash(config) == SPACE.config_hash(config)


def test_an_order_may_be_conditional() -> None:
    space = SearchSpace.from_yaml(
        "kind: {type: choice, range: {all, none}, submodule: {all: {steps: {type: permutation, items: [1, 2, 3]}}}}"
    )
    assert space.size() == 7
    assert len(list(space.configurations())) == 7
    assert space.shrink([{"kind": "all", "kind.all.steps": [3, 1, 2]}]).size() == 6
