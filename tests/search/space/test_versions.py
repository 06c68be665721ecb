from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conformance.spaces import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search.space.versions import Projection, SpaceVersions

SPACE = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: {tree, net}, submodule: {net: {layers: {type: int, range: [1, 4], default: 2}}}}
    rate: {type: float, range: [0.1, 1.0], default: 0.5}
    bias: {type: bool}
    """
)
CONFIG = {"kind": "net", "kind.net.layers": 3, "rate": 0.75, "bias": False}


def test_a_value_in_a_wider_or_cut_range_stays_as_it_is() -> None:
    for ends in ([0.01, 9.0], [0.7, 0.8]):
        assert SPACE.edit("rate", range=ends).project(CONFIG, SPACE) == Projection(CONFIG, exact=True)


@pytest.mark.parametrize(
    "edit",
    [("rate", {"range": [0.1, 0.7]}), ("kind", {"range": ["tree", "line"]}), ("kind.net.layers", {"range": [1, 2]})],
)
def test_what_a_version_no_longer_holds_is_moved_nowhere(edit: tuple[str, dict[str, Any]]) -> None:
    assert SPACE.edit(edit[0], **edit[1]).project(CONFIG, SPACE) == Projection(None, exact=False)


def test_what_a_rule_forbids_is_outside() -> None:
    ruled = SearchSpace.from_dict({**SPACE.to_dict(), "forbid": [{"kind": "net", "bias": False}]})
    assert ruled.project(CONFIG, SPACE).config is None


def test_a_new_parameter_takes_its_default() -> None:
    wider = SPACE.add("decay", {"type": "float", "range": [0, 1], "default": 0.25})
    wider = wider.add("kind.net.width", {"type": "int", "range": [8, 64], "default": 16})
    assert wider.project(CONFIG, SPACE) == Projection({**CONFIG, "kind.net.width": 16, "decay": 0.25}, exact=True)


@pytest.mark.parametrize(("rate", "exact"), [(0.75, False), (0.5, True)])
def test_a_parameter_that_is_gone_counts_no_longer(rate: float, exact: bool) -> None:
    found = SPACE.remove("rate").project({**CONFIG, "rate": rate}, SPACE)
    assert found == Projection({"kind": "net", "kind.net.layers": 3, "bias": False}, exact)


def test_versions_remember_where_a_configuration_is_from() -> None:
    versions = SpaceVersions(SPACE)
    versions.change(SPACE.edit("rate", range=[0.1, 0.7]))
    assert versions.project(CONFIG).config is None
    versions.change(SPACE.remove("bias"))
    assert versions.project(CONFIG).config == {"kind": "net", "kind.net.layers": 3, "rate": 0.75}
    versions.validate(CONFIG)
    with pytest.raises(SpaceError, match="rate"):
        versions.validate({**CONFIG, "rate": 7.0})
    assert versions.project({**CONFIG, "rate": 7.0}) == Projection(None, exact=False)


def test_an_earlier_version_may_come_again() -> None:
    versions = SpaceVersions(SPACE)
    cut = SPACE.edit("rate", range=[0.1, 0.7])
    versions.change(cut)
    versions.change(SPACE)
    assert (versions.earlier, versions.current) == ([cut], SPACE)
    again = SpaceVersions(SPACE)
    again.load(json.loads(json.dumps(versions.dump())))
    assert again.earlier == [cut]


@settings(deadline=None, max_examples=40)
@given(spaces(), spaces(), st.integers(0, 2**32))
def test_a_projection_is_valid_or_nothing(before: dict[str, Any], after: dict[str, Any], seed: int) -> None:
    try:
        source, space = SearchSpace.from_dict(before), SearchSpace.from_dict(after)
    except SpaceError:
        return  # the drawn rules forbid everything
    for config in source.sample_many(5, np.random.default_rng(seed)):
        found = space.project(config, source)
        if found.config is not None:
            space.validate(found.config)
            assert all(found.config[path] == config[path] for path in found.config.keys() & config.keys())
        assert source.project(config, source) == Projection(config, exact=True)
