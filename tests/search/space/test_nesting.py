from __future__ import annotations

import numpy as np
import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace

SPACE = SearchSpace.from_yaml(LISTING_2)
BLOCK = "backbone_nums_block"


def test_the_nested_view_follows_the_submodules():
    layers = {f"{BLOCK}[0].block_type.resnet.nums_layer[{k}].nums_channel": 64 for k in range(3)}
    config = {
        BLOCK: 2,
        f"{BLOCK}[0].block_type": "resnet",
        f"{BLOCK}[0].block_type.resnet.nums_layer": 3,
        **layers,
        f"{BLOCK}[1].block_type": "transformer",
        f"{BLOCK}[1].block_type.transformer.mlp_expend_ratio": 8,
    }
    SPACE.validate(config)
    resnet = {"nums_layer": {"value": 3, "items": [{"nums_channel": 64}] * 3}}
    assert SPACE.nest(config) == {
        BLOCK: {
            "value": 2,
            "items": [
                {"block_type": {"value": "resnet", "params": resnet}},
                {"block_type": {"value": "transformer", "params": {"mlp_expend_ratio": 8}}},
            ],
        }
    }


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(spaces(rules=False), st.integers(0, 1000))
def test_flatten_inverts_nest(spec, seed):
    space = SearchSpace.from_dict(spec)
    config = space.sample(np.random.default_rng(seed))
    assert space.flatten(space.nest(config)) == config


def test_flatten_refuses_a_bare_value_where_a_submodule_is():
    with pytest.raises(SpaceError, match="backbone_nums_block: 2 is not a nested value"):
        SPACE.flatten({BLOCK: 2})
