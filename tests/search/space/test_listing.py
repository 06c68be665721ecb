from __future__ import annotations

import itertools

import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace

SPACES = [
    "a: {type: choice, range: {x, y, z}}\nb: {type: int, range: [1, 7], step: 3, when: {a: [x, y]}}",
    "n: {type: int, range: [0, 2], submodule: {c: {type: bool}}}\nk: {type: constant, value: [1]}",
    "cell: {type: cell, nodes: 3, operations: [none, conv]}\no: {type: ordinal, range: [1, 2, 4]}",
    "p: {type: permutation, items: [a, b, 3, true]}\nb: {type: bool}",
    "f: {type: float, range: [0.0, 1.0], step: 0.25}\ng: {type: int, range: [1, 3]}\nforbid: [{f: {min: 0.5}, g: 2}]",
    "n: {type: int, range: [0, 3], submodule: {c: {type: bool}}}\np: {type: permutation, items: [a, b]}\n"
    'forbid: [{"n[*].c": true, n: {min: 2}}]',
]


@pytest.mark.parametrize("text", SPACES)
def test_it_lists_every_configuration_once(text: str) -> None:
    space = SearchSpace.from_yaml(text)
    found = list(space.configurations())
    assert len(found) == space.size()
    assert all(space.is_valid(config) for config in found)
    assert len({repr(sorted(config.items())) for config in found}) == len(found)


def test_rules_take_configurations_out_and_keep_the_order() -> None:
    text = (
        "x: {type: int, range: [0, 9]}\nk: {type: choice, range: [a, b]}\ny: {type: int, range: [0, 4], when: {k: a}}"
    )
    free = SearchSpace.from_yaml(text)
    ruled = SearchSpace.from_yaml(text + "\nforbid: [{x: {min: 3}, k: b}, {x: {max: 5}, y: {not: 2}}]")
    assert list(ruled.configurations()) == [config for config in free.configurations() if ruled.is_valid(config)]


def test_ten_of_ten_to_the_fifteen_are_found_without_a_walk_over_the_others() -> None:
    text = "".join(f"x{k}: {{type: int, range: [0, 999]}}\n" for k in range(5)) + "forbid: [{x4: {min: 10}}"
    space = SearchSpace.from_yaml(text + "".join(f", {{x{k}: {{min: 1}}, x4: {{max: 9}}}}" for k in range(4)) + "]")
    assert [config["x4"] for config in space.configurations()] == list(range(10))


def test_entangled_rules_prune_where_their_last_value_is_chosen() -> None:
    names = [f"{letter}{k}" for letter in "ab" for k in range(15)]
    rules = [f"{{a{k}: {value}, b{k}: {value}}}" for k in range(15) for value in ("true", "false")]
    text = "".join(f"{name}: {{type: bool}}\n" for name in names)
    space = SearchSpace.from_yaml(f"{text}forbid: [{', '.join(rules)}]")
    first = list(itertools.islice(space.configurations(), 100))
    assert all(config[f"a{k}"] != config[f"b{k}"] for config in first for k in range(15))
    assert len({tuple(config.values()) for config in first}) == 100


def test_a_continuous_parameter_has_no_list() -> None:
    with pytest.raises(SpaceError, match="x: is continuous"):
        SearchSpace.from_yaml("x: {type: float, range: [0, 1]}").configurations()
