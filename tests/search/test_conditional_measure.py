from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.search import SearchSpace
from omniforge.search.conditional_measure import ConditionalMeasure
from omniforge.search.encoding import Encoding

SPACES: dict[str, dict[str, Any]] = {
    "flat": {
        "x": {"type": "float", "range": [0.0, 2.0]},
        "n": {"type": "int", "range": [1, 20], "log": True},
        "c": {"type": "choice", "range": ["a", "b", "c"]},
        "one": {"type": "constant", "value": "same"},
    },
    "nested": {
        "blocks": {
            "type": "int",
            "range": [1, 4],
            "submodule": {
                "kind": {
                    "type": "choice",
                    "range": ["conv", "attn"],
                    "submodule": {"conv": {"width": {"type": "int", "range": [2, 5]}}},
                },
                "heads": {"type": "int", "range": [1, 8], "when": {"kind": "attn"}},
            },
        }
    },
    "entangled": {
        "a": {"type": "choice", "range": ["x", "y", "z"]},
        "n": {"type": "int", "range": [1, 6]},
        "both": {"type": "float", "range": [0.0, 1.0], "when": {"a": ["x", "y"], "n": {"min": 3}}},
        "either": {"type": "float", "range": [0.0, 1.0], "when": [{"a": "x"}, {"n": 1}]},
        "last": {"type": "bool", "when": {"both": {"min": 0.25}}},
    },
    "gate with a threshold": {
        "rate": {"type": "float", "range": [0.0, 1.0]},
        "decay": {"type": "float", "range": [0.0, 1.0], "when": {"rate": {"min": 0.3, "max": 0.8}}},
    },
    "constant gate": {
        "mode": {"type": "constant", "value": "on"},
        "x": {"type": "float", "range": [0.0, 1.0], "when": {"mode": "on"}},
    },
}


def measure_of(space: SearchSpace, encoding: Encoding) -> ConditionalMeasure:
    return ConditionalMeasure(space, encoding, columns=range(encoding.d))


def boxes(encoding: Encoding, count: int) -> tuple[Any, Any]:
    """Return random boxes ``(low, high]``, half of their sides open."""
    rng = np.random.default_rng(0)
    span = encoding.bounds[1].numpy()
    ends = np.sort(rng.uniform(-0.05, 1.05, (2, count, encoding.d)), axis=0) * span
    low = np.where(rng.random(ends[0].shape) < 0.6, -np.inf, ends[0])
    high = np.where(rng.random(ends[1].shape) < 0.6, np.inf, ends[1])
    return low, high


@pytest.mark.oracle
@pytest.mark.parametrize("name", SPACES)
def test_probabilities_of_boxes_against_draws(name: str) -> None:
    space = SearchSpace.from_dict(SPACES[name])
    encoding = Encoding(space)
    X = encoding.encode(space.sample_many(20_000, np.random.default_rng(1))).numpy()
    low, high = boxes(encoding, 30)
    measure = measure_of(space, encoding)
    found = measure.passes(low, high, masses=measure.masses(low, high)).total
    drawn = ((low[:, None] < X) & (high[:, None] >= X)).all(axis=-1).mean(axis=1)
    assert np.abs(found - drawn).max() < 0.015


@pytest.mark.parametrize("name", SPACES)
def test_everything_has_probability_one_and_a_split_loses_nothing(name: str) -> None:
    space = SearchSpace.from_dict(SPACES[name])
    encoding = Encoding(space)
    measure = measure_of(space, encoding)
    for column in range(encoding.d):
        low, high = np.full((3, encoding.d), -np.inf), np.full((3, encoding.d), np.inf)
        high[1, column] = low[2, column] = 0.4
        total = measure.passes(low, high, masses=measure.masses(low, high)).total
        assert total[0] == pytest.approx(1.0)
        assert total[1] + total[2] == pytest.approx(1.0)


@pytest.mark.parametrize("name", SPACES)
def test_how_often_a_parameter_is_active(name: str) -> None:
    space = SearchSpace.from_dict(SPACES[name])
    encoding = Encoding(space)
    drawn = encoding.activity(space.sample_many(20_000, np.random.default_rng(1))).numpy().mean(axis=0)
    measure = measure_of(space, encoding)
    for dim, active in zip(measure.dimensions, measure.active, strict=True):
        if dim.column is not None:
            assert active == pytest.approx(drawn[dim.column], abs=0.015), dim.path


def test_a_condition_on_a_sibling_is_a_tree() -> None:
    space = SearchSpace.from_dict(SPACES["nested"])
    measure = measure_of(space, Encoding(space))
    paths = [dim.path for dim in measure.dimensions]
    heads = measure.dimensions[paths.index("blocks[2].heads")]
    assert paths[heads.parent] == "blocks[2].kind"
    assert all(dim.chosen is None for dim in measure.dimensions)
    assert not measure.sampled


def test_only_what_the_columns_need_is_kept() -> None:
    space = SearchSpace.from_dict(SPACES["nested"])
    encoding = Encoding(space)
    measure = ConditionalMeasure(space, encoding, columns=encoding.columns["blocks[1].heads"])
    assert [dim.path for dim in measure.dimensions] == ["", "blocks", "blocks[1].kind", "blocks[1].heads"]


def test_too_many_patterns_are_sampled_without_bias() -> None:
    spec: dict[str, Any] = {f"g{i}": {"type": "choice", "range": ["a", "b"]} for i in range(10)}
    spec["x"] = {"type": "bool", "when": [{f"g{i}": "a", f"g{i + 1}": "a"} for i in range(9)]}
    space = SearchSpace.from_dict(spec)
    encoding = Encoding(space)
    measure = measure_of(space, encoding)
    assert measure.sampled
    low, high = np.full((1, encoding.d), -np.inf), np.full((1, encoding.d), np.inf)
    passes = measure.passes(low, high, masses=measure.masses(low, high))
    assert float(passes.total[0]) == pytest.approx(1.0)
    drawn = np.mean(["x" in config for config in space.sample_many(5_000, np.random.default_rng(0))])
    assert measure.active[-1] == pytest.approx(drawn, abs=0.06)
