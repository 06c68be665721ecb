from __future__ import annotations

import numpy as np
import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace

LISTING = SearchSpace.from_yaml(LISTING_2)
SPACE = SearchSpace.from_yaml(
    """
lr: {type: float, range: [1e-5, 1e-1], log: true, default: 0.05, prior: {normal: {mean: 1e-2, std: 1}}}
optimizer: {type: choice, range: [sgd, adam, lion], weights: [1, 3, 2], default: sgd}
momentum: {type: float, range: [0.0, 0.99], when: {optimizer: sgd}}
nesterov: {type: bool, when: {momentum: {min: 0.5}}}
beta: {type: float, range: [0.8, 0.99], when: {optimizer: [adam, sgd]}}
depth: {type: int, range: [1...9], step: 2}
size: {type: ordinal, range: [tiny, small, medium, large, huge]}
wide: {type: bool, when: {size: {min: medium}}}
forbid: [{optimizer: sgd, depth: 9}, {optimizer: lion, depth: {min: 5}}]
"""
)


def test_an_edit_is_previewed_and_undone():
    edited = LISTING.edit("backbone_nums_block", range=[2, 3])
    assert str(LISTING.diff(edited)) == "~ backbone_nums_block.range: [2, 5] -> [2, 3]"
    assert SearchSpace.from_yaml(LISTING_2) == LISTING
    assert edited.edit("backbone_nums_block", range=[2, 5]) == LISTING
    assert len(edited.parameters) < len(LISTING.parameters)


def test_an_index_names_what_all_instances_share():
    path = "backbone_nums_block[1].block_type.resnet.nums_layer"
    edited = LISTING.edit(path, range="1...2", default=2)
    assert edited.parameters[path].domain.high == 2
    assert edited == LISTING.edit("backbone_nums_block.block_type.resnet.nums_layer", range=[1, 2], default=2)


def test_removing_a_value_takes_what_depends_on_it():
    edited = SPACE.edit("optimizer", range=["adam", "lion"])
    assert str(SPACE.diff(edited)).splitlines() == [
        "~ optimizer.range: - 'sgd'",
        "~ optimizer.weights: {sgd: 1, adam: 3, lion: 2} -> {adam: 3, lion: 2}",
        "~ optimizer.default: - sgd",
        "~ beta.when: {optimizer: [adam, sgd]} -> {optimizer: adam}",
        "- momentum: {type: float, range: [0, 0.99], when: {optimizer: sgd}}",
        "- nesterov: {type: bool, when: {momentum: {min: 0.5}}}",
        "- forbid: {optimizer: sgd, depth: 9}",
    ]


def test_a_branch_goes_with_its_value():
    edited = LISTING.edit("backbone_nums_block.block_type", range=["resnet"])
    assert not any("transformer" in path for path in edited.parameters)
    assert str(LISTING.diff(edited)).count("\n") == 1


def test_new_values_get_the_weight_one():
    edited = SPACE.edit("optimizer", range=["sgd", "adam", "lion", "adan"])
    assert edited.parameters["optimizer"].domain.weights == (1.0, 3.0, 2.0, 1.0)


def test_keys_are_removed_and_types_changed():
    plain = SPACE.edit("lr", prior=None, default=None, log=None)
    assert plain.to_dict()["lr"] == {"type": "float", "range": [1e-5, 0.1]}
    fixed = SPACE.edit("lr", type="constant", value=0.01)
    assert fixed.to_dict()["lr"] == {"type": "constant", "value": 0.01}


def test_a_null_default_is_a_value_where_null_is_one():
    space = SearchSpace.from_yaml("d: {type: choice, range: [1, null]}")
    assert space.edit("d", default=None).default() == {"d": None}


def test_a_prior_moves_into_the_new_range():
    edited = SPACE.edit("lr", range=[1e-5, 1e-3])
    assert edited.parameters["lr"].domain.prior.mean == 1e-3
    assert "default" not in edited.to_dict()["lr"]


def test_a_wrong_edit_is_refused_and_changes_nothing():
    with pytest.raises(SpaceError, match=r"depth: the range \[5, 2\] is empty"):
        SPACE.edit("depth", range=[5, 2])
    with pytest.raises(SpaceError, match="depth: default 4 is outside"):
        SPACE.edit("depth", default=4)
    with pytest.raises(SpaceError, match="optimizer is never 'sdg'"):
        SPACE.edit("depth", when={"optimizer": "sdg"})
    with pytest.raises(SpaceError, match="no parameter 'dept'") as caught:
        SPACE.edit("dept", range=[1, 2])
    assert "'depth'" in caught.value.hint


def test_parameters_are_added_where_they_belong():
    space = LISTING.add("dropout", {"type": "float", "range": [0, 0.5]})
    space = space.add("backbone_nums_block.norm", {"type": "bool"})
    space = space.add("backbone_nums_block[0].block_type.transformer.heads", {"type": "choice", "range": [2, 4]})
    assert "backbone_nums_block[4].norm" in space.parameters
    assert "backbone_nums_block[2].block_type.transformer.heads" in space.parameters
    assert [change.action for change in LISTING.diff(space).changes] == ["added"] * 3
    for path in ("dropout", "backbone_nums_block.norm", "backbone_nums_block.block_type.transformer.heads"):
        space = space.remove(path)
    assert space == LISTING


@pytest.mark.parametrize(
    ("path", "message"), [("lr", "already is"), ("lr.x", "no group 'lr'"), ("a.b", "no group 'a'")]
)
def test_wrong_additions_are_refused(path, message):
    with pytest.raises(SpaceError, match=message):
        SPACE.add(path, {"type": "bool"})


def test_the_last_parameter_stays():
    with pytest.raises(SpaceError, match="nothing would be left"):
        SearchSpace.from_yaml("a: {type: bool}").remove("a")


def test_a_rule_on_an_index_goes_with_the_index():
    text = (
        "n: {type: int, range: [1...3], submodule: {k: {type: bool}}}\n"
        "forbid: [{'n[2].k': true}, {'n[*].k': true, n: 1}]"
    )
    space = SearchSpace.from_yaml(text)
    assert len(space.edit("n", range=[1, 2]).rules) == 2
    assert len(space.rules) == 4


CENTERS = [
    {"lr": 1e-3, "optimizer": "adam", "beta": 0.9, "depth": 3, "size": "large", "wide": True},
    {"lr": 3e-3, "optimizer": "adam", "beta": 0.95, "depth": 3, "size": "medium", "wide": False},
]


def test_shrinking_keeps_the_centers_and_their_surroundings():
    shrunk = SPACE.shrink(CENTERS, fraction=0.5)
    lr = shrunk.parameters["lr"].domain
    assert lr.high / lr.low == pytest.approx(100)
    assert lr.low < 1e-3 < 3e-3 < lr.high
    assert shrunk.parameters["optimizer"].domain.values == ("adam",)
    assert shrunk.parameters["depth"].domain.to_dict()["range"] == [1, 5]
    assert shrunk.parameters["size"].domain.values == ("medium", "large", "huge")
    assert "momentum" not in shrunk.parameters
    assert shrunk.declared_rules == ()
    for center in CENTERS:
        shrunk.validate(center)


def test_shrinking_moves_a_lost_default_to_the_best_center():
    shrunk = SPACE.shrink(CENTERS, fraction=0.1)
    assert shrunk.default()["lr"] == 1e-3
    assert shrunk.to_dict()["optimizer"]["default"] == "adam"


def test_a_condition_on_values_that_all_remain_stays():
    shrunk = SPACE.shrink(CENTERS, fraction=0.01)
    assert shrunk.parameters["size"].domain.values == ("medium", "large")
    assert shrunk.parameters["wide"].active({"size": "large"})


def test_shrinking_a_bool_keeps_its_branch():
    space = SearchSpace.from_yaml(
        "f: {type: bool, submodule: {true: {w: {type: int, range: [0...8]}}}}\nx: {type: bool, when: {f: false}}"
    )
    shrunk = space.shrink([{"f": True, "f.true.w": 4}])
    assert list(shrunk.parameters) == ["f", "f.true.w"]
    shrunk.validate({"f": True, "f.true.w": 4})


@pytest.mark.parametrize(
    ("centers", "fraction", "message"),
    [
        ([], 0.5, "no configuration"),
        (CENTERS, 0, "fraction is 0"),
        (CENTERS, 1.5, "fraction is 1.5"),
        ([{"lr": 1}], 0.5, "lr: 1 is not allowed"),
    ],
)
def test_wrong_shrinking_is_refused(centers, fraction, message):
    with pytest.raises(SpaceError, match=message):
        SPACE.shrink(centers, fraction=fraction)


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 1000), st.floats(0.05, 1.0), st.integers(1, 3))
def test_a_shrunk_space_lies_inside_and_holds_its_centers(spec, seed, fraction, count):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError:
        return
    rng = np.random.default_rng(seed)
    centers = space.sample_many(count, rng)
    shrunk = space.shrink(centers, fraction=fraction)
    for center in centers:
        shrunk.validate(center)
    for config in shrunk.sample_many(5, rng):
        space.validate(config)
    assert shrunk.size() <= space.size()
    assert SearchSpace.from_yaml(shrunk.to_yaml()) == shrunk
