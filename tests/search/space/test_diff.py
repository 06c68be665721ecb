from __future__ import annotations

from conformance.spaces import LISTING_2

from omniforge.search import SearchSpace

BEFORE = SearchSpace.from_yaml(
    """
lr: {type: float, range: [1e-5, 1e-1], log: true}
optimizer: {type: choice, range: [sgd, adam], weights: [1, 3]}
size: {type: ordinal, range: [1, 2, 3]}
k:
  type: choice
  range: {a, b}
  submodule: {a: {w: {type: bool}}}
old: {type: int, range: [1...3]}
forbid: [{optimizer: sgd, size: 3}]
"""
)
AFTER = SearchSpace.from_yaml(
    """
lr: {type: float, range: [1e-4, 1e-2], log: true, default: 1e-3}
optimizer: {type: choice, range: [adam, lion], weights: [3, 1]}
size: {type: ordinal, range: [1, 3, 2]}
k:
  type: choice
  range: {a, b}
  submodule: {a: {w: {type: bool, when: {size: 1}}}, b: {v: {type: int, range: [1...2], submodule: {u: {type: bool}}}}}
forbid: [{optimizer: lion, size: 3}]
"""
)


def test_a_diff_reads_line_by_line():
    assert str(BEFORE.diff(AFTER)).splitlines() == [
        "~ lr.range: [1e-05, 0.1] -> [0.0001, 0.01]",
        "~ lr.default: + 0.001",
        "~ optimizer.range: + 'lion', - 'sgd'",
        "~ optimizer.weights: {sgd: 1, adam: 3} -> {adam: 3, lion: 1}",
        "~ size.range: order [1, 3, 2]",
        "~ k.a.w.when: + {size: 1}",
        "+ k.b.v: {type: int, range: [1, 2]} with a submodule",
        "- old: {type: int, range: [1, 3]}",
        "- forbid: {optimizer: sgd, size: 3}",
        "+ forbid: {optimizer: lion, size: 3}",
    ]


def test_changes_are_values():
    diff = BEFORE.diff(AFTER)
    change = diff.changes[0]
    assert (change.action, change.path, change.key) == ("changed", "lr", "range")
    assert (change.before, change.after) == ([1e-5, 1e-1], [1e-4, 1e-2])
    assert diff.to_dict()["changes"][0]["path"] == "lr"
    assert len(diff) == len(diff.changes) == 10


def test_a_diff_with_itself_is_empty():
    space = SearchSpace.from_yaml(LISTING_2)
    assert not space.diff(SearchSpace.from_dict(space.to_dict()))
    assert str(space.diff(space)) == "no changes"


def test_the_order_of_a_choice_is_no_change():
    one, two = (SearchSpace.from_yaml(f"x: {{type: choice, range: {text}}}") for text in ("[a, b]", "[b, a]"))
    assert not one.diff(two)


def test_a_change_of_type_shows():
    one = SearchSpace.from_yaml("x: {type: int, range: [1...3]}")
    two = SearchSpace.from_yaml("x: {type: choice, range: [1, 3]}")
    assert str(one.diff(two)).startswith("~ x.type: int -> choice")
