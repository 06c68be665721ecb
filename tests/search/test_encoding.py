from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search import Encoding, SearchSpace

SPACE = SearchSpace.from_yaml(
    """
rate: {type: float, range: [1e-4, 1.0], log: true}
optimizer: {type: choice, range: [sgd, adam, lion]}
momentum: {type: float, range: [0.0, 0.8], step: 0.2, when: {optimizer: sgd}, default: 0.4}
depth: {type: int, range: [1...5]}
size: {type: ordinal, range: [small, medium, large]}
flag: {type: bool}
fixed: {type: constant, value: 7}
arch: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}
forbid: [{flag: true, depth: 5}]
"""
)
ENCODING = Encoding(SPACE)
ARCH = {"0-1": "conv", "0-2": "none", "1-2": "skip"}
CONFIG = {
    "rate": 1e-2,
    "optimizer": "adam",
    "depth": 2,
    "size": "large",
    "flag": True,
    "fixed": 7,
    "arch": ARCH,
}


def test_columns_are_what_the_documentation_says():
    assert ENCODING.names == [
        *("rate", "optimizer", "depth", "size", "flag"),
        *("arch[0-1]", "arch[0-2]", "arch[1-2]", "momentum"),
    ] or ENCODING.names == [
        *("rate", "optimizer", "momentum", "depth", "size", "flag"),
        "arch[0-1]",
        "arch[0-2]",
        "arch[1-2]",
    ]
    named = dict(zip(ENCODING.names, ENCODING.encode([CONFIG])[0].tolist(), strict=True))
    assert named == pytest.approx(
        {"rate": 0.5, "optimizer": 1, "momentum": 0.5, "depth": 0.25, "size": 1, "flag": 1}
        | {"arch[0-1]": 2, "arch[0-2]": 0, "arch[1-2]": 1}
    )


def test_bounds_and_kinds_of_columns():
    place = {name: i for i, name in enumerate(ENCODING.names)}
    assert ENCODING.bounds.shape == (2, ENCODING.d)
    assert ENCODING.bounds.dtype == torch.float64
    high = dict(zip(ENCODING.names, ENCODING.bounds[1].tolist(), strict=True))
    assert (high["rate"], high["optimizer"], high["flag"], high["arch[1-2]"], high["size"]) == (1, 2, 1, 2, 1)
    assert ENCODING.categorical_dims == sorted(
        place[name] for name in ("optimizer", "flag", "arch[0-1]", "arch[0-2]", "arch[1-2]")
    )
    assert ENCODING.integer_dims == sorted(place[name] for name in ("momentum", "depth", "size"))
    assert ENCODING.cardinalities[place["momentum"]] == 5
    assert place["rate"] not in ENCODING.cardinalities
    assert ENCODING.columns["arch"] == [place["arch[0-1]"], place["arch[0-2]"], place["arch[1-2]"]]


def test_an_order_has_the_places_of_its_items():
    encoding = Encoding(
        SearchSpace.from_yaml("o: {type: permutation, items: [a, 2, c]}\nx: {type: float, range: [0, 1]}")
    )
    assert encoding.names == ["o[a]", "o[2]", "o[c]", "x"]
    assert (encoding.integer_dims, encoding.place_dims, encoding.categorical_dims) == ([0, 1, 2], [0, 1, 2], [])
    assert encoding.cardinalities == {0: 3, 1: 3, 2: 3}
    config = {"o": ["c", "a", 2], "x": 0.25}
    assert encoding.encode([config]).tolist() == [[0.5, 1.0, 0.0, 0.25]]
    assert encoding.decode(torch.tensor([[0.31, 0.32, -4.0, 0.25]])) == [config]
    assert encoding.quantiles(torch.tensor([[0.31, 0.32, 0.0, 0.25]], dtype=torch.float64)) == [config]
    with pytest.raises(SpaceError, match="o: a value cannot be encoded"):
        encoding.encode([{"o": ["c", "a", "b"], "x": 0.25}])


def test_orders_of_even_points_are_even():
    encoding = Encoding(SearchSpace.from_yaml("o: {type: permutation, items: [1, 2, 3]}"))
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = [tuple(config["o"]) for config in encoding.quantiles(points)]
    assert len(set(drawn)) == 6
    assert all(abs(drawn.count(order) - 500) < 100 for order in set(drawn))


def test_inactive_columns_hold_the_default_and_are_told_apart():
    place = ENCODING.names.index("momentum")
    active = CONFIG | {"optimizer": "sgd", "momentum": 0.8}
    X, mask = ENCODING.encode([CONFIG, active]), ENCODING.activity([CONFIG, active])
    assert X[:, place].tolist() == [0.5, 1.0]
    assert mask[:, place].tolist() == [False, True]
    assert mask.dtype == torch.bool
    assert bool(mask[:, [i for i in range(ENCODING.d) if i != place]].all())


def test_decoding_a_forbidden_row_gives_the_nearest_allowed_configuration():
    X = ENCODING.encode([CONFIG | {"depth": 4}])
    X[0, ENCODING.names.index("depth")] = 1.0
    decoded = ENCODING.decode(X)[0]
    SPACE.validate(decoded)
    assert decoded == CONFIG | {"depth": 4}


def test_values_out_of_bounds_are_clamped():
    for fill in (-5.0, 99.0):
        for config in ENCODING.decode(torch.full((1, ENCODING.d), fill)):
            SPACE.validate(config)


@pytest.mark.parametrize("X", [torch.zeros(3), torch.zeros(2, 99), torch.full((1, 9), torch.nan)])
def test_a_wrong_tensor_is_refused(X):
    with pytest.raises(SpaceError, match="The tensor"):
        ENCODING.decode(X)


@pytest.mark.parametrize(
    ("path", "value"), [("rate", 5.0), ("rate", "a"), ("optimizer", "adamw"), ("arch", {}), ("depth", None)]
)
def test_a_value_that_cannot_be_encoded_is_named(path, value):
    with pytest.raises(SpaceError, match=f"{path}: a value cannot be encoded; expected"):
        ENCODING.encode([CONFIG | {path: value}])


def test_no_configurations_and_no_columns():
    assert ENCODING.encode([]).shape == (0, ENCODING.d)
    assert ENCODING.activity([]).shape == (0, ENCODING.d)
    assert ENCODING.decode(torch.zeros(0, ENCODING.d)) == []
    fixed = Encoding(SearchSpace.from_yaml("a: {type: constant, value: 1}"))
    assert fixed.d == 0
    assert fixed.bounds.shape == (2, 0)
    assert fixed.decode(fixed.encode([{"a": 1}])) == [{"a": 1}]


def test_quantiles_follow_the_priors():
    space = SearchSpace.from_yaml(
        "k: {type: choice, range: [a, b], weights: [9, 1]}\nx: {type: int, range: [1...4]}\n"
        "y: {type: float, range: [0, 1], prior: {normal: {mean: 0.2, std: 0.05}}}"
    )
    encoding = Encoding(space)
    U = torch.quasirandom.SobolEngine(encoding.d, scramble=True, seed=0).draw(1024, dtype=torch.float64)
    configs = encoding.quantiles(U)
    assert abs(sum(config["k"] == "a" for config in configs) - 922) <= 2
    assert [abs(sum(config["x"] == k for config in configs) - 256) <= 2 for k in (1, 2, 3, 4)] == [True] * 4
    assert abs(np.mean([config["y"] for config in configs]) - 0.2) < 0.005


def test_listing_2_has_a_column_per_parameter():
    encoding = Encoding(SearchSpace.from_yaml(LISTING_2))
    assert encoding.d == 51
    configs = encoding.space.sample_many(50, np.random.default_rng(0))
    assert encoding.decode(encoding.encode(configs)) == configs


@pytest.mark.property
@settings(max_examples=80, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_encoding_and_decoding_gives_the_configuration_back(spec, seed):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError:
        return
    encoding = Encoding(space)
    configs = space.sample_many(5, np.random.default_rng(seed))
    X = encoding.encode(configs)
    assert X.shape == (5, encoding.d)
    assert bool(((encoding.bounds[0] <= X) & (encoding.bounds[1] >= X)).all())
    assert encoding.decode(X) == configs
    assert torch.equal(encoding.project(X), X)
    assert bool((encoding.imputed == X)[~encoding.activity(configs)].all())


@pytest.mark.property
@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_any_tensor_decodes_to_valid_configurations(spec, seed):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError:
        return
    encoding = Encoding(space)
    generator = torch.Generator().manual_seed(seed)
    U = torch.rand(5, encoding.d, generator=generator, dtype=torch.float64)
    X = encoding.bounds[0] + (encoding.bounds[1] - encoding.bounds[0]) * U
    for config in [*encoding.decode(X), *encoding.quantiles(U), *encoding.decode(3 * X - 1)]:
        space.validate(config)
    assert encoding.decode(X) == encoding.decode(X.clone())
    projected = encoding.project(X)
    assert torch.equal(encoding.project(projected), projected)
