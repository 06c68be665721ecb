from __future__ import annotations

import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace

BLOCKS = """\
n:
  type: int
  range: [1...3]
  submodule:
    kind: {type: choice, range: {conv, pool}}
    width: {type: int, range: [1...4], when: {kind: conv}}
    late: {type: bool, when: {mode: deep}}
mode: {type: choice, range: {flat, deep}}
"""


def test_an_int_parent_gives_instances_for_every_index():
    space = SearchSpace.from_yaml(BLOCKS)
    assert [path for path in space.parameters if path.endswith("kind")] == ["n[0].kind", "n[1].kind", "n[2].kind"]
    width = space.parameters["n[1].width"]
    assert (width.parent, width.index, width.template, width.name, width.kind) == ("n", 1, "n.width", "width", "int")


def test_names_are_looked_up_beside_first_and_then_around():
    space = SearchSpace.from_yaml(BLOCKS)
    assert space.parameters["n[1].width"].when.refs == ("n[1].kind",)
    assert space.parameters["n[1].late"].when.refs == ("mode",)
    assert space.parameters["n[1].late"].reason() == "n is above 1 and mode is 'deep'"


def test_parents_come_before_children_whatever_the_order_of_writing():
    space = SearchSpace.from_yaml(BLOCKS)
    order = list(space.parameters)
    for path, parameter in space.parameters.items():
        assert all(order.index(above) < order.index(path) for above in parameter.above)


def test_a_whole_path_with_an_index_is_a_name():
    space = SearchSpace.from_yaml(BLOCKS + "x: {type: bool, when: {'n[2].kind': pool}}\n")
    assert space.parameters["x"].when.refs == ("n[2].kind",)


def test_a_name_inside_a_repeated_group_needs_its_path_outside():
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(BLOCKS + "x: {type: bool, when: {kind: pool}}\n")
    assert "line 9: x.when: there is no parameter 'kind' here" in caught.value.message
    assert "n[0].kind" in caught.value.hint


def test_a_condition_reaches_into_a_branch_by_path():
    space = SearchSpace.from_yaml(
        "k: {type: choice, range: {a, b}, submodule: {a: {w: {type: int, range: [1...3]}}}}\n"
        "x: {type: bool, when: {k.a.w: 2}}"
    )
    assert space.is_valid({"k": "a", "k.a.w": 2, "x": True})
    assert space.is_valid({"k": "b"})
    assert not space.is_valid({"k": "b", "x": True})


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        ("a: {type: bool, when: {b: true}}\nb: {type: bool, when: {a: true}}", 1, ("a", "b")),
        ("a: {type: bool, when: {a: true}}", 1, ("a",)),
        (
            (
                "x: {type: bool}\na:\n  type: bool\n  when: {c: true}\nb: {type: bool, when: {a: true}}\n"
                "c: {type: bool, when: {b: true}}"
            ),
            4,
            "abc",
        ),
        (
            "a:\n  type: choice\n  range: {u, v}\n  when: {a.u.b: true}\n  submodule: {u: {b: {type: bool}}}",
            4,
            ("a", "a.u.b"),
        ),
    ],
)
def test_a_cycle_is_refused_with_its_line(text, line, names):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(text + "\n")
    assert caught.value.message.startswith(f"line {line}: a.when: the conditions form a cycle: ")
    assert all(name in caught.value.message for name in names)


def test_a_diamond_is_no_cycle():
    space = SearchSpace.from_yaml(
        "d: {type: bool, when: {b: true, c: true}}\nb: {type: bool, when: {a: true}}\n"
        "c: {type: bool, when: {a: true}}\na: {type: bool}"
    )
    assert list(space.parameters) == ["a", "b", "c", "d"]
    assert space.size() == 1 + 3 + 2


def test_forbid_stars_stand_for_every_index():
    space = SearchSpace.from_yaml(BLOCKS + "forbid: [{'n[*].kind': conv, 'n[*].width': 4}, {mode: deep, n: 3}]\n")
    assert len(space.rules) == 4
    assert [test.ref for test in space.rules[1]] == ["n[1].kind", "n[1].width"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{speed: 3}", "line 9: forbid[0]: there is no parameter 'speed' here"),
        ("{mode: wide}", "line 9: forbid[0]: mode is never 'wide'"),
        ("{kind: conv}", "there is no parameter 'kind' here"),
        ("{'mode[*].kind': conv}", "'mode' repeats nothing"),
    ],
)
def test_wrong_rules_are_refused(rule, message):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(BLOCKS + f"forbid: [{rule}]\n")
    assert message in caught.value.message


def test_a_space_does_not_explode():
    text = (
        "a:\n  type: int\n  range: [0...300]\n  submodule:\n    b:\n      type: int\n"
        "      range: [0...300]\n      submodule:\n        c: {type: bool}\n"
    )
    with pytest.raises(SpaceError, match="more than 20000 parameters"):
        SearchSpace.from_yaml(text)


def test_parameters_cannot_be_changed():
    space = SearchSpace.from_yaml(BLOCKS)
    with pytest.raises(TypeError):
        space.parameters["n"] = None
    with pytest.raises(AttributeError):
        space.parameters["n"].path = "m"
