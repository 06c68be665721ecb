from __future__ import annotations

import pytest

from omniforge.search import SearchSpace
from omniforge.search.enumeration import configurations

SPACES = [
    "a: {type: choice, range: {x, y, z}}\nb: {type: int, range: [1, 7], step: 3, when: {a: [x, y]}}",
    "n: {type: int, range: [0, 2], submodule: {c: {type: bool}}}\nk: {type: constant, value: [1]}",
    "cell: {type: cell, nodes: 3, operations: [none, conv]}\no: {type: ordinal, range: [1, 2, 4]}",
    "p: {type: permutation, items: [a, b, 3, true]}\nb: {type: bool}",
    "f: {type: float, range: [0.0, 1.0], step: 0.25}\ng: {type: int, range: [1, 3]}\nforbid: [{f: {min: 0.5}, g: 2}]",
]


@pytest.mark.parametrize("text", SPACES)
def test_it_lists_every_configuration_once(text: str) -> None:
    space = SearchSpace.from_yaml(text)
    found = list(configurations(space))
    assert len(found) == space.size()
    assert all(space.is_valid(config) for config in found)
    assert len({repr(sorted(config.items())) for config in found}) == len(found)


def test_a_continuous_parameter_has_no_list() -> None:
    with pytest.raises(ValueError, match="x has no finite list"):
        list(configurations(SearchSpace.from_yaml("x: {type: float, range: [0, 1]}")))
