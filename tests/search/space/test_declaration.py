from __future__ import annotations

import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace


def test_walk_gives_paths_without_indices():
    space = SearchSpace.from_yaml(
        "n:\n  type: int\n  range: [0...2]\n  submodule:\n"
        "    k: {type: choice, range: {a, 64}, submodule: {64: {w: {type: bool}}}}"
    )
    assert [path for top in space.declarations for path, _ in top.walk()] == ["n", "n.k", "n.k.64.w"]


def test_a_branch_is_found_by_value_or_by_text():
    for key in ("64", "'64'", "64.0"):
        space = SearchSpace.from_yaml(
            f"k: {{type: choice, range: [32, 64], submodule: {{{key}: {{w: {{type: bool}}}}}}}}"
        )
        assert "k.64.w" in space.parameters


def test_bools_and_ordinals_have_branches_too():
    space = SearchSpace.from_yaml(
        "f: {type: bool, submodule: {true: {w: {type: bool}}}}\n"
        "o: {type: ordinal, range: [1, 2], submodule: {2: {v: {type: bool}}}}"
    )
    assert list(space.parameters) == ["f", "f.true.w", "o", "o.2.v"]
    assert space.size() == 3 * 3


def test_empty_branches_are_allowed():
    space = SearchSpace.from_yaml("k: {type: choice, range: {a, b}, submodule: {a: {}, b: }}")
    assert list(space.parameters) == ["k"]


def test_descriptions_are_kept_and_do_not_count():
    space = SearchSpace.from_yaml("x: {type: bool, description: whether to}")
    assert space.to_dict()["x"]["description"] == "whether to"
    assert space == SearchSpace.from_yaml("x: {type: bool}")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("- a", "line 1: a space is a mapping from names to parameters; found a list", "depth"),
        ("just text", "found a single value", "depth"),
        ("{}", "line 1: the space declares no parameter", "depth"),
        ("forbid: []", "the space declares no parameter", "depth"),
        (
            "a: {type: bool}\nlr: 0.1",
            "line 2: lr: expected a mapping with a type; found 0.1",
            "{type: constant, value: 0.1}",
        ),
        ("lr:", "line 1: lr: expected a mapping with a type; found nothing", "type"),
        ("lr: [1, 2]", "found [1, 2]", "type"),
        ("a b: {type: bool}", "line 1: 'a b' is not a name", "Start with a letter"),
        ("a.b: {type: bool}", "'a.b' is not a name", "Start with a letter"),
        ("'a[0]': {type: bool}", "is not a name", "Start with a letter"),
        ("1: {type: bool}", "1 is not a name", "Start with a letter"),
        ("lr:\n  range: [1, 2]", "line 1: lr: the key 'type' is missing", "type: int"),
        (
            "lr: {type: float, range: [0, 1],\n  default: 2}",
            "line 2: lr: default 2 is outside of the range",
            "Change the default",
        ),
        (
            "k: {type: choice, range: [a], default: b}",
            "default 'b' is outside of the range; expected one of 'a'",
            "Change",
        ),
        ("k: {type: int, range: [0, 9], step: 2, default: 3}", "in steps of 2", "Change"),
        ("k: {type: bool, description: [a]}", "expected text", "Quote"),
        ("k: {type: float, range: [0, 1], submodule: {a: {type: bool}}}", "type float has no submodule", "int repeats"),
        ("k: {type: int, range: [-1, 1], submodule: {a: {type: bool}}}", "cannot be negative", "0 or above"),
        (
            "k: {type: choice, range: [a], submodule: {b: {x: {type: bool}}}}",
            "k: the branch 'b' is none of the values",
            "Name",
        ),
        (
            "k: {type: choice, range: [a], submodule: {a: 3}}",
            "k.a: expected a mapping from names to parameters; found 3",
            "out",
        ),
        ("k: {type: choice, range: [a], submodule: 3}", "submodule is 3", "Remove"),
        (
            "k: {type: choice, range: [1, '1'], submodule: {1: {x: {type: bool}}}}",
            "would name one branch",
            "text differs",
        ),
        (
            "k: {type: choice, range: [1], submodule: {1: {x: {type: bool}}, '1': {y: {type: bool}}}}",
            "stands twice",
            "Remove",
        ),
        ("a: {type: bool}\nforbid: {a: true}", "line 2: forbid: expected a list of mappings", "forbid: ["),
        ("a: {type: bool}\nforbid: [a]", "line 2: forbid[0]: expected a mapping", ""),
    ],
)
def test_wrong_spaces_are_refused_with_line_and_path(text, message, hint):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(text + "\n")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_nested_errors_carry_the_whole_path():
    text = (
        "n:\n  type: int\n  range: [1, 2]\n  submodule:\n    k:\n      type: choice\n"
        "      range: {a}\n      submodule:\n        a:\n          w: {type: int, range: [3, 1]}\n"
    )
    with pytest.raises(SpaceError, match=r"line 10: n\.k\.a\.w: the range \[3, 1\] is empty"):
        SearchSpace.from_yaml(text)
