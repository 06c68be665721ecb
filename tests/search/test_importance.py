from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpaceError, UnknownNameError
from omniforge.search import SearchSpace
from omniforge.search.encoding import Encoding
from omniforge.search.importance import MIN_OBSERVATIONS, Importance, importance
from omniforge.search.leaf_anova import Forest

FLAT = {
    "depth": {"type": "int", "range": [1, 4]},
    "width": {"type": "int", "range": [1, 16], "log": True},
    "kind": {"type": "choice", "range": ["a", "b", "c"]},
    "bias": {"type": "bool"},
    "size": {"type": "ordinal", "range": ["s", "m", "l"]},
}
TREE = {
    "x": {"type": "int", "range": [0, 3]},
    "algorithm": {
        "type": "choice",
        "range": ["tree", "net"],
        "submodule": {
            "tree": {"leaves": {"type": "int", "range": [2, 4]}},
            "net": {
                "act": {"type": "choice", "range": ["relu", "tanh"]},
                "drop": {"type": "bool", "submodule": {"true": {"rate": {"type": "int", "range": [1, 3]}}}},
            },
        },
    },
}
REPEATED = {
    "blocks": {
        "type": "int",
        "range": [1, 3],
        "submodule": {
            "kind": {"type": "choice", "range": ["conv", "attn"]},
            "heads": {"type": "int", "range": [1, 2], "when": {"kind": "attn"}},
        },
    },
    "rate": {"type": "int", "range": [1, 3]},
}
ENTANGLED = {
    "optimizer": {"type": "choice", "range": ["sgd", "adam", "lbfgs"]},
    "depth": {"type": "int", "range": [1, 3]},
    "momentum": {"type": "int", "range": [0, 2], "when": {"optimizer": "sgd", "depth": {"min": 2}}},
    "warm": {"type": "bool", "when": [{"optimizer": ["adam", "sgd"]}, {"depth": 3}]},
    "steps": {"type": "int", "range": [1, 2], "when": {"warm": True}},
}
SPACES = {"flat": FLAT, "tree": TREE, "repeated": REPEATED, "entangled": ENTANGLED}


def rough(config: Mapping[str, Any]) -> float:
    """A function with main effects, interactions and conditions, from a hash of the names."""
    total = 0.0
    for path, value in config.items():
        weight = 1 + sum(map(ord, path)) % 5
        total += weight * (hash_of(value) % 7) / 7
    values = [hash_of(value) % 5 for value in config.values()]
    return total + 0.3 * values[0] * values[1] + 0.2 * values[-1] * len(values)


def hash_of(value: Any) -> int:
    return sum(map(ord, str(value)))


def latents(space: SearchSpace) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield every combination of values of all parameters, active or not, with its probability."""
    choices = []
    for path, parameter in space.parameters.items():
        domain = parameter.domain
        values = list(domain.every())
        if getattr(domain, "log", False):  # the share of uniform draws on the log scale that round to the value
            draws = [domain.quantile((k + 0.5) / 200_000) for k in range(200_000)]  # type: ignore[attr-defined]
            weights = [draws.count(value) / len(draws) for value in values]
        else:
            weights = [1 / len(values)] * len(values)
        choices.append([(path, value, weight) for value, weight in zip(values, weights, strict=True)])
    for combination in itertools.product(*choices):
        yield {path: value for path, value, _ in combination}, math.prod(weight for _, _, weight in combination)


class Oracle:
    """The same shares by enumeration, from the definition."""

    def __init__(self, space: SearchSpace, forest: Forest) -> None:
        table = list(latents(space))
        self.values = {path: np.array([str(row[path]) for row, _ in table]) for path in space.parameters}
        self.weight = np.array([weight for _, weight in table])
        configs = []
        for row, _ in table:
            config: dict[str, Any] = {}
            for path, parameter in space.parameters.items():
                if parameter.active(config):
                    config[path] = row[path]
            configs.append(config)
        self.active = {path: np.array([path in config for config in configs]) for path in space.parameters}
        X = Encoding(space).encode(configs).numpy()
        self.trees = [tree.predict(X) for tree in forest.model.estimators_]

    def average(self, share: Callable[[np.ndarray[Any, Any]], float]) -> float:
        return float(np.mean([share(f) / self.variance(f) for f in self.trees if self.variance(f) > 0]))

    def variance(self, f: Any) -> float:
        return float(self.weight @ (f - self.weight @ f) ** 2)

    def given(self, f: Any, on: Any, *names: str) -> Any:
        """Return E[f | the named parameters] at each row, under the event ``on``."""
        key = np.array(["|".join(self.values[name][i] for name in names) for i in range(len(f))])
        groups = np.unique(key, return_inverse=True)[1] if names else np.zeros(len(f), dtype=int)
        weight = np.where(on, self.weight, 0.0)
        total = np.bincount(groups, weights=weight)
        return (np.bincount(groups, weights=weight * f) / np.where(total > 0, total, 1))[groups]

    def main(self, path: str) -> float:
        on = self.active[path]

        def share(f: Any) -> float:
            return float((self.weight * on) @ (self.given(f, on, path) - self.given(f, on)) ** 2)

        return self.average(share)

    def pair(self, one: str, other: str) -> float:
        on = self.active[one] & self.active[other]

        def share(f: Any) -> float:
            rest = self.given(f, on, one, other) - self.given(f, on, one) - self.given(f, on, other) + self.given(f, on)
            return float((self.weight * on) @ rest**2)

        return self.average(share)

    def curve(self, path: str, value: Any) -> float:
        on = self.active[path]
        row = int(np.flatnonzero(self.values[path] == str(value))[0])
        return float(np.mean([self.given(f, on, path)[row] for f in self.trees]))


def observed(spec: dict[str, Any], count: int, function: Callable[[Mapping[str, Any]], float] = rough) -> Any:
    space = SearchSpace.from_dict(spec)
    configs = space.sample_many(count, np.random.default_rng(0))
    return space, configs, [function(config) for config in configs]


@pytest.mark.oracle
@pytest.mark.parametrize("name", SPACES)
def test_against_enumeration(name: str) -> None:
    space, configs, values = observed(SPACES[name], 120)
    found = importance(space, configs, values, n_trees=4, seed=3)
    oracle = Oracle(space, Forest(Encoding(space).encode(configs).numpy(), np.array(values), seed=3, n_trees=4))
    assert found.main.keys() == space.parameters.keys()
    tolerance = 1e-3 if name == "flat" else 1e-9  # the oracle draws the log scale
    for path, share in found.main.items():
        assert share == pytest.approx(oracle.main(path), abs=tolerance), path
        assert found.active[path] == pytest.approx(oracle.weight @ oracle.active[path])
        curve = found.marginal(path)
        for value, mean in zip(curve.values, curve.mean, strict=True):
            assert mean == pytest.approx(oracle.curve(path, value), abs=tolerance * 10), path
    assert found.pairs
    for (one, other), share in found.pairs.items():
        assert share == pytest.approx(oracle.pair(one, other), abs=tolerance), (one, other)


@pytest.mark.oracle
def test_a_continuous_space_against_a_fine_grid() -> None:
    spec = {"x": {"type": "float", "range": [0.0, 1.0]}, "z": {"type": "float", "range": [1e-4, 1.0], "log": True}}
    space, configs, values = observed(spec, 80, lambda c: math.sin(5 * c["x"]) * (1 + math.log10(c["z"])))
    found = importance(space, configs, values, n_trees=3)
    forest = Forest(Encoding(space).encode(configs).numpy(), np.array(values), seed=0, n_trees=3)
    axis = (np.arange(800) + 0.5) / 800
    X = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    shares = []
    for tree in forest.model.estimators_:
        f = tree.predict(X).reshape(800, 800)
        by_x, by_z = f.mean(axis=1), f.mean(axis=0)
        rest = f - by_x[:, None] - by_z + f.mean()
        shares.append([by_x.var() / f.var(), by_z.var() / f.var(), (rest**2).mean() / f.var()])
    expected = np.mean(shares, axis=0)
    assert [found.main["x"], found.main["z"], found.pairs["x", "z"]] == pytest.approx(expected, abs=5e-3)
    assert sum(expected) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["tree", "repeated"])
def test_shares_of_a_tree_shaped_space_add_up_to_one(name: str) -> None:
    additive = {"tree": lambda c: float(len(c) + hash_of(c["x"])), "repeated": lambda c: float(c["blocks"] + c["rate"])}
    space, configs, values = observed(SPACES[name], 400, additive[name])
    found = importance(space, configs, values)
    total = sum(found.main.values()) + sum(found.pairs.values())
    assert 0.9 < total <= 1.0 + 1e-9


def test_a_known_additive_function() -> None:
    spec = {f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(4)}
    space, configs, values = observed(spec, 600, lambda c: 3 * c["x0"] + 2 * c["x1"] + c["x2"])
    found = importance(space, configs, values)
    assert list(found.main)[:3] == ["x0", "x1", "x2"]
    assert [found.main[f"x{i}"] for i in range(4)] == pytest.approx([9 / 14, 4 / 14, 1 / 14, 0], abs=0.05)
    assert sum(found.pairs.values()) < 0.08
    assert found.std["x0"] < 0.1
    assert found.r2 is not None
    assert found.r2 > 0.9
    assert found.note is None
    assert found.n == 600


def test_a_known_interaction() -> None:
    spec = {name: {"type": "float", "range": [-1.0, 1.0]} for name in ("a", "b", "c")}
    space, configs, values = observed(spec, 800, lambda c: c["a"] * c["b"])
    found = importance(space, configs, values)
    assert next(iter(found.pairs)) == ("a", "b")
    assert found.pairs["a", "b"] > 0.6
    assert max(found.main.values()) < 0.25


def test_a_parameter_counts_where_it_is_active() -> None:
    """The rate of the net explains 3/4 of the variance inside the net, which is half of the space."""
    spec = {
        "algorithm": {
            "type": "choice",
            "range": ["tree", "net"],
            "submodule": {"net": {"rate": {"type": "float", "range": [0.0, 1.0]}}},
        },
        "noise": {"type": "float", "range": [0.0, 1.0]},
    }
    space, configs, values = observed(spec, 800, lambda c: 10 * c.get("algorithm.net.rate", 0.5))
    found = importance(space, configs, values)
    assert found.active["algorithm.net.rate"] == pytest.approx(0.5)
    assert found.main["algorithm.net.rate"] > 0.95  # all of the variance is there, though it is absent half the time
    assert found.main["algorithm"] < 0.03
    curve = found.marginal("algorithm.net.rate")
    assert curve.mean[0] == pytest.approx(0.0, abs=0.6)
    assert curve.mean[-1] == pytest.approx(10.0, abs=0.6)


def test_instances_are_grouped_by_declaration() -> None:
    space, configs, values = observed(
        REPEATED, 400, lambda c: sum(c[f"blocks[{i}].kind"] == "attn" for i in range(c["blocks"]))
    )
    found = importance(space, configs, values)
    assert set(found.grouped) == {"blocks", "blocks.kind", "blocks.heads", "rate"}
    assert next(iter(found.grouped)) == "blocks.kind"
    instances = sum(share for path, share in found.main.items() if path.endswith(".kind"))
    assert found.grouped["blocks.kind"] >= instances


def test_a_cell_is_one_parameter() -> None:
    spec = {"cell": {"type": "cell", "nodes": 3, "operations": ["none", "skip", "conv"]}, "x": {"type": "bool"}}
    space = SearchSpace.from_dict(spec)
    configs = space.sample_many(300, np.random.default_rng(0))
    values = [sum(op == "conv" for op in config["cell"].values()) + 0.01 * config["x"] for config in configs]
    found = importance(space, configs, values)
    assert found.main["cell"] > 0.9
    assert set(found.main) == {"cell", "x"}
    with pytest.raises(UnknownNameError):
        found.marginal("cell")


def test_an_order_is_one_parameter() -> None:
    space = SearchSpace.from_yaml("o: {type: permutation, items: [a, b, c, d]}\nx: {type: float, range: [0, 1]}")
    configs = space.sample_many(300, np.random.default_rng(0))
    values = [config["o"].index("c") + 0.3 * config["x"] for config in configs]
    found = importance(space, configs, values)
    assert found.main["o"] > 0.8
    assert set(found.main) == {"o", "x"}
    with pytest.raises(UnknownNameError):
        found.marginal("o")


def test_too_many_patterns_are_sampled_and_said() -> None:
    spec: dict[str, Any] = {f"g{i}": {"type": "choice", "range": ["a", "b", "c", "d"]} for i in range(6)}
    spec["x"] = {"type": "float", "range": [0.0, 1.0], "when": {f"g{i}": ["a", "b", "c"] for i in range(6)}}
    space, configs, values = observed(spec, 200, lambda c: c.get("x", 0.0) + (c["g0"] == "a"))
    found = importance(space, configs, values, n_trees=8)
    assert "sampled" in str(found.note)
    assert found.active["x"] == pytest.approx(0.75**6, abs=0.1)
    assert next(iter(found.main)) == "g0"


def test_only_columns_that_matter_are_kept_in_a_large_space() -> None:
    spec = {f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(300)}
    space, configs, values = observed(spec, 60, lambda c: c["x7"])
    found = importance(space, configs, values, n_trees=4)
    assert next(iter(found.main)) == "x7"
    assert len(found.main) <= 300


class TestNotEnough:
    @pytest.mark.parametrize("count", [0, 1, MIN_OBSERVATIONS - 1])
    def test_too_few(self, count: int) -> None:
        space, configs, values = observed(FLAT, count)
        found = importance(space, configs, values)
        assert not found.enough
        assert found.note == f"Not enough observations: importance needs 8, there are {count}."
        assert found.main == {}
        assert found.grouped == {}
        json.dumps(found.to_dict(), allow_nan=False)

    def test_values_that_are_not_finite_do_not_count(self) -> None:
        space, configs, values = observed(FLAT, 10)
        found = importance(space, configs, [*values[:7], math.nan, math.inf, -math.inf])
        assert (found.enough, found.n) == (False, 7)

    def test_a_constant_metric(self) -> None:
        space, configs, _ = observed(FLAT, 20)
        found = importance(space, configs, [0.5] * 20)
        assert found.note == "The metric is the same in all 20 observations."

    def test_a_space_without_choice(self) -> None:
        space = SearchSpace.from_dict({"a": {"type": "constant", "value": 3}})
        found = importance(space, [{"a": 3}] * 9, list(range(9)))
        assert not found.enough

    def test_eight_are_enough_to_try_and_noise_is_said(self) -> None:
        space, configs, _ = observed(FLAT, 12)
        found = importance(space, configs, np.random.default_rng(0).random(12).tolist())
        assert found.enough
        assert "poorly" in str(found.note)


def test_lengths_must_agree() -> None:
    space, configs, _ = observed(FLAT, 3)
    with pytest.raises(ValueError, match="3 configurations have 2 values"):
        importance(space, configs, [1.0, 2.0])


def test_configurations_must_belong_to_the_space() -> None:
    space, configs, values = observed(FLAT, 9)
    with pytest.raises(SpaceError):
        importance(space, [{**configs[0], "depth": 99}, *configs[1:]], values)


def test_the_seed_decides() -> None:
    space, configs, values = observed(TREE, 60)
    one, same, other = (importance(space, configs, values, n_trees=8, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_it_is_json_and_sorted() -> None:
    space, configs, values = observed(TREE, 60)
    found = importance(space, configs, values, n_trees=8)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(plain["main"].values()) == sorted(plain["main"].values(), reverse=True)
    assert plain["curves"]["x"]["values"] == [0, 1, 2, 3]
    assert isinstance(found, Importance)


def test_an_unknown_curve_has_near_names() -> None:
    space, configs, values = observed(FLAT, 30)
    with pytest.raises(UnknownNameError) as caught:
        importance(space, configs, values, n_trees=2).marginal("dept")
    assert "'depth'" in str(caught.value.hint)
