from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conformance.spaces import LISTING_2
from scipy import stats

from omniforge.search import SearchSpace
from omniforge.search.design import SobolDesign, coordinates, width

BRANCHED = SearchSpace.from_yaml(
    """
    kind:
      type: choice
      range: {a, b, c}
      submodule:
        a: {u: {type: float, range: [0.0, 1.0]}, v: {type: float, range: [0.0, 1.0]}}
        b: {u: {type: float, range: [0.0, 1.0]}}
    fixed: {type: constant, value: 1}
    cell: {type: cell, nodes: 3, operations: [none, conv]}
    z: {type: float, range: [0.0, 1.0], when: {kind: c}}
    """
)


def test_branches_that_exclude_each_other_share_coordinates() -> None:
    assert coordinates(BRANCHED) == {
        "kind": 0,
        "kind.a.u": 1,
        "kind.a.v": 2,
        "kind.b.u": 1,
        "fixed": 3,
        "cell": 3,
        "z": 6,
    }
    assert width(BRANCHED) == 7


def test_repeated_children_have_coordinates_of_their_own() -> None:
    space = SearchSpace.from_yaml(LISTING_2)
    start = coordinates(space)
    first, second = "backbone_nums_block[0].block_type", "backbone_nums_block[1].block_type"
    assert start[f"{first}.resnet.nums_layer"] == start[f"{first}.transformer.mlp_expend_ratio"] == start[first] + 1
    assert start[second] > start[f"{first}.resnet.nums_layer[6].nums_channel"]


def test_an_order_takes_a_coordinate_per_item_and_its_points_are_even() -> None:
    space = SearchSpace.from_yaml("o: {type: permutation, items: [a, b, c]}\nx: {type: bool}")
    assert coordinates(space) == {"o": 0, "x": 3}
    design = SobolDesign(space, seed=0)
    first = [design.config(i)["o"][0] for i in range(96)]
    assert all(abs(first.count(item) - 32) < 8 for item in "abc")


@pytest.mark.parametrize("text", ["k: {type: constant, value: 1}", "x: {type: bool}"])
def test_the_smallest_spaces_have_a_design(text: str) -> None:
    space = SearchSpace.from_yaml(text)
    assert space.is_valid(SobolDesign(space, seed=0).config(5))


def test_points_do_not_depend_on_the_order_of_asking() -> None:
    design = SobolDesign(BRANCHED, seed=3)
    forward = [design.config(i) for i in range(6)]
    assert [SobolDesign(BRANCHED, seed=3).config(i) for i in (5, 0)] == [forward[5], forward[0]]
    assert [SobolDesign(BRANCHED, seed=4).config(i) for i in range(6)] != forward


def test_choices_are_balanced() -> None:
    design = SobolDesign(BRANCHED, seed=1)
    counts = Counter(design.config(i)["kind"] for i in range(12))
    assert min(counts[kind] for kind in "abc") >= 3


def test_numbers_are_even_on_their_own_scale() -> None:
    space = SearchSpace.from_yaml("k: {type: bool}\nrate: {type: float, range: [0.001, 1.0], log: true}")
    design = SobolDesign(space, seed=3)
    rates = [design.config(i)["rate"] for i in range(64)]
    counts, _ = np.histogram(np.log10(rates), bins=8, range=(-3, 0))
    assert counts.tolist() == [8] * 8


@pytest.mark.oracle
def test_points_follow_the_priors_inside_each_branch() -> None:
    space = SearchSpace.from_yaml(
        """
        kind:
          type: choice
          range: [a, b]
          weights: [3, 1]
          submodule: {a: {u: {type: float, range: [0.001, 1.0], log: true}}}
        """
    )
    design = SobolDesign(space, seed=0)
    found = [design.config(i) for i in range(512)]
    units = [(np.log10(config["kind.a.u"]) + 3) / 3 for config in found if config["kind"] == "a"]
    assert len(units) / 512 == pytest.approx(0.75, abs=0.01)
    assert stats.kstest(units, "uniform").pvalue > 0.05


def test_forbidden_points_give_way() -> None:
    space = SearchSpace.from_yaml("a: {type: bool}\nb: {type: bool}\nforbid: [{a: true, b: true}]")
    design = SobolDesign(space, seed=0)
    assert all(space.is_valid(design.config(i)) for i in range(16))
