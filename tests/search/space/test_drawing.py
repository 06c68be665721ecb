from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search.space.configure import violated, walk
from omniforge.search.space.drawing import plan


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


PRIORS = """\
k: {type: choice, range: [a, b, c], weights: [6, 1, 3]}
o: {type: ordinal, range: [1, 2, 4, 8], weights: [1, 2, 3, 4], when: {k: [a, b]}}
n: {type: int, range: [1, 40], log: true}
m: {type: int, range: [0, 10], prior: {normal: {mean: 7, std: 2}}, submodule: {w: {type: bool, weights: [1, 4]}}}
f: {type: float, range: [0.001, 1.0], log: true}
g: {type: float, range: [0, 1], prior: {normal: {mean: 0.3, std: 0.2}}}
forbid:
  - {k: a, o: {min: 4}}
  - {n: {min: 3, max: 30, not: [7, 9]}}
  - {m: {min: 7, max: 9}}
  - {f: {min: 0.1}, g: {max: 0.6}}
  - {"m[*].w": true, k: b}
"""


def rejected(space: SearchSpace, count: int) -> list[dict[str, object]]:
    source = rng(1)
    out: list[dict[str, object]] = []
    while len(out) < count:
        config = walk(space, lambda parameter: parameter.domain.sample(source))
        if violated(space, config) is None:
            out.append(config)
    return out


def test_the_distribution_is_the_one_that_rejection_leaves() -> None:
    """Marginals and a joint one, each within five standard errors of the difference; numbers below a median count as one."""
    space, count = SearchSpace.from_yaml(PRIORS), 1000
    found = space.drawing_plan
    assert found is not None
    source = rng()
    ours = [config for _ in range(count) if (config := found.draw(source)) is not None]
    others = rejected(space, count)
    assert all(space.is_valid(config) for config in ours)
    assert len(ours) == count

    def seen(configs: list[dict[str, object]]) -> Counter[object]:
        tallies: Counter[object] = Counter()
        for config in configs:
            values = {path: f"{value:.1f}" if path in "fg" else value for path, value in config.items()}
            tallies.update(values.items())
            tallies[values["k"], values.get("o"), config["m"] < 7, config["n"] < 3] += 1  # type: ignore[operator]
        return tallies

    one, two = seen(ours), seen(others)
    for key in one.keys() | two.keys():
        assert abs(one[key] - two[key]) <= 5 * math.sqrt(one[key] + two[key]) + 3, key


def test_the_share_is_the_probability_that_nothing_is_forbidden() -> None:
    space = SearchSpace.from_yaml(
        "x: {type: int, range: [0, 99]}\ny: {type: float, range: [0, 1]}\nforbid: [{x: {min: 5}}]"
    )
    assert space.drawing_plan is not None
    assert space.drawing_plan.share == pytest.approx(0.05)
    space = SearchSpace.from_yaml(PRIORS)
    source = rng(2)
    hits = [violated(space, walk(space, lambda p: p.domain.sample(source))) is None for _ in range(3000)]
    assert space.drawing_plan is not None
    assert space.drawing_plan.share == pytest.approx(np.mean(hits), abs=5 * math.sqrt(np.mean(hits) / 3000))


def test_one_in_ten_to_the_eighteen_is_drawn_at_once() -> None:
    text = "".join(f"x{k}: {{type: int, range: [0...999]}}\n" for k in range(6))
    space = SearchSpace.from_yaml(text + "forbid: [" + ", ".join(f"{{x{k}: {{min: 1}}}}" for k in range(6)) + "]")
    assert space.sample(rng()) == dict.fromkeys((f"x{k}" for k in range(6)), 0)


def test_a_single_point_of_a_continuous_range_can_be_kept_out_and_ends_can_be_kept() -> None:
    space = SearchSpace.from_yaml(
        "x: {type: float, range: [0, 1]}\nforbid: [{x: {max: 0.9}}, {x: {min: 0.95, not: 1.0}}]"
    )
    drawn = [config["x"] for config in space.sample_many(300, rng())]
    assert all(0.9 < x < 0.95 or x == 1.0 for x in drawn)
    assert min(drawn) < 0.903
    assert max(drawn) > 0.947


def test_fixed_values_are_kept() -> None:
    space = SearchSpace.from_yaml(PRIORS)
    found = plan(space, fixed={"k": "b", "m": 1})
    assert found is not None
    source = rng()
    for _ in range(50):
        config = found.draw(source)
        assert config is not None
        assert (config["k"], config["m"], config["m[0].w"]) == ("b", 1, False)
        space.validate(config)


def test_no_probability_is_an_error_with_the_rules() -> None:
    """A value that a prior never reaches in floating point."""
    space = SearchSpace.from_yaml(
        "x: {type: float, range: [0, 1], prior: {normal: {mean: 0.1, std: 0.001}}}\nforbid:\n  - {x: {max: 0.9}}"
    )
    with pytest.raises(SpaceError, match=r"line 3: forbid: the rules leave \(almost\) nothing to sample"):
        space.sample(rng())


def test_without_a_plan_values_are_chosen_step_by_step() -> None:
    """One draw of 32,768 has each b unlike its a, and what is to be remembered until then is too much to plan."""
    names = [f"{letter}{k}" for letter in "ab" for k in range(15)]
    rules = [f"{{a{k}: {value}, b{k}: {value}}}" for k in range(15) for value in ("true", "false")]
    text = "".join(f"{name}: {{type: bool}}\n" for name in names)
    space = SearchSpace.from_yaml(f"{text}forbid: [{', '.join(rules)}]")
    assert space.drawing_plan is None
    config = space.sample(rng())
    assert all(config[f"a{k}"] != config[f"b{k}"] for k in range(15))
    assert space.sample(rng()) == config
    assert space.is_valid(space.repair(dict.fromkeys(names, True)))
