from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.ensemble import LevelEnsemble, by_level, ordered, product, reference, weigh
from omniforge.search.fidelity.sources import source
from omniforge.search.fidelity.staged import Situation

Make = Callable[..., Curves]
FEW = (0.05, 0.2, 0.35, 0.5, 0.7, 0.95)


def situation(curves: Curves, seed: int = 0) -> Situation:
    return Situation(curves, lambda config: not curves.has(config), np.random.default_rng(seed), exhausted=False)


def hill(x: float) -> float:
    return -abs(x - 0.62)


def seen(low: Callable[[float], float]) -> dict[float, dict[float, float | None]]:
    """Return many results at one epoch, and at nine epochs a few of a hill with its top at 0.62."""
    out: dict[float, dict[float, float | None]] = {x / 24: {1: low(x / 24)} for x in range(25)}
    for x in FEW:
        out[x] = {1: low(x), 9: hill(x)}
    return out


def test_weights_are_shares_of_ordered_pairs_to_the_third_power() -> None:
    assert weigh([0.5, 1.0, 0.0]).tolist() == pytest.approx([1 / 9, 8 / 9, 0.0])
    assert weigh([0.0, 0.0]).tolist() == [0.5, 0.5]


def test_a_pair_is_ordered_or_not_and_a_tie_is_half_of_it() -> None:
    Y = torch.tensor([[1.0], [2.0], [3.0]])
    assert ordered(torch.tensor([0.1, 0.2, 0.3]), Y) == 1.0
    assert ordered(torch.tensor([0.3, 0.2, 0.1]), Y) == 0.0
    assert ordered(torch.tensor([0.1, 0.3, 0.2]), Y) == pytest.approx(2 / 3)
    assert ordered(torch.tensor([0.1, 0.1]), Y[:2]) == 0.5


def test_the_product_is_that_of_densities_to_powers() -> None:
    mean, deviation, weights = np.array([-0.4, 1.1, 0.3]), np.array([0.5, 1.5, 0.9]), np.array([0.2, 0.7, 0.1])
    grid = np.linspace(-12, 12, 40_001)
    log = (-0.5 * weights[:, None] * ((grid - mean[:, None]) / deviation[:, None]) ** 2).sum(axis=0)
    density = np.exp(log) / np.exp(log).sum()
    expected = (density * grid).sum()
    found = product(
        torch.from_numpy(mean)[:, None], torch.from_numpy(deviation**2)[:, None], weights=torch.from_numpy(weights)
    )
    assert float(found[0]) == pytest.approx(expected, abs=1e-6)
    assert float(found[1]) == pytest.approx((density * (grid - expected) ** 2).sum(), rel=1e-4)


def test_the_reference_is_the_highest_level_with_enough_results() -> None:
    assert reference({0: 30, 1: 5, 2: 4}) == 1
    assert reference({0: 3, 1: 4, 2: 2}) == 1
    assert reference({}) == -1


def test_a_result_counts_for_the_level_that_it_reaches(make_curves: Make) -> None:
    curves = make_curves({0.1: {1: 0.1, 2: 0.2, 9: 0.3}, 0.2: {0.5: 0.4}, 0.3: {3: 0.5}})
    assert by_level(curves) == {0: [1, 3], 1: [4], 2: [2]}


def test_levels_weigh_as_much_as_they_order_the_reference(make_curves: Make) -> None:
    faithful = LevelEnsemble().know(situation(make_curves(seen(hill))))
    reverse = LevelEnsemble().know(situation(make_curves(seen(lambda x: -hill(x)))))
    assert faithful is not None
    assert reverse is not None
    assert [len(known.experts) for known in (faithful, reverse)] == [2, 2]
    assert float(faithful.weights.sum()) == pytest.approx(1.0)
    assert float(faithful.weights[0]) >= 0.5
    assert float(reverse.weights[0]) < 0.05


def test_new_configurations_are_where_full_values_are_high(make_curves: Make) -> None:
    for seed in range(3):
        config = LevelEnsemble().most_improving(situation(make_curves(seen(hill)), seed))
        assert config is not None
        assert abs(config["x"] - 0.62) < 0.15
        misled = LevelEnsemble().most_improving(situation(make_curves(seen(lambda x: -hill(x))), seed))
        assert misled is not None
        assert abs(misled["x"] - 0.62) < 0.3


def test_levels_that_did_not_change_are_not_fitted_again(make_curves: Make) -> None:
    model = LevelEnsemble()
    results = seen(hill)
    first = model.know(situation(make_curves(results)))
    same = model.know(situation(make_curves(results)))
    results[0.7][9] = -0.5
    changed = model.know(situation(make_curves(results)))
    assert first is not None
    assert same is not None
    assert changed is not None
    assert [a.model is b.model for a, b in zip(first.experts, same.experts, strict=True)] == [True, True]
    assert [a.model is b.model for a, b in zip(first.experts, changed.experts, strict=True)] == [True, False]


def test_what_is_under_evaluation_is_believed(make_curves: Make) -> None:
    model = LevelEnsemble()
    sparse: dict[float, dict[float, float | None]] = {x / 6: {1: hill(x / 6)} for x in range(7)}
    free, waiting = (model.know(situation(make_curves(sparse, pending))) for pending in ([], [(0.42, 1), (1 / 6, 3)]))
    assert free is not None
    assert waiting is not None
    X = torch.tensor([[0.42]], dtype=torch.float64)
    assert float(waiting.at(X)[0]) == pytest.approx(float(free.at(X)[0]), abs=1e-3)
    assert float(waiting.at(X)[1]) < float(free.at(X)[1])
    assert len(waiting.experts[0].model.X) == 8


def test_failures_are_the_worst_of_their_level(make_curves: Make) -> None:
    results = seen(hill)
    results[0.97] = {1: None}
    known = LevelEnsemble().know(situation(make_curves(results)))
    assert known is not None
    assert int(known.experts[0].Y.argmin()) == len(known.experts[0].Y) - 1


def test_hyperparameters_are_kept_from_one_fit_to_the_next(make_curves: Make) -> None:
    curves = make_curves(seen(hill))
    model = LevelEnsemble()
    first = model.most_improving(situation(curves, 5))
    state = json.loads(json.dumps(model.dump()))
    assert {level: fit["count"] for level, fit in state["fits"].items()} == {"0": 30, "2": 6}
    again = LevelEnsemble()
    again.load(state)
    assert again.most_improving(situation(curves, 5)) == first
    assert again.dump() == state
    again.load({**state, "space": "another"})
    again.know(situation(curves))
    assert again.dump()["space"] == state["space"]


def test_nothing_is_known_where_no_level_has_two_different_results(make_curves: Make) -> None:
    curves = make_curves({0.1: {1: 0.5}, 0.2: {1: 0.5}, 0.3: {3: 0.7}, 0.4: {1: None}})
    assert LevelEnsemble().know(situation(curves)) is None
    assert LevelEnsemble().most_improving(situation(curves)) is None


def test_any_surrogate_can_model_a_level(make_curves: Make) -> None:
    forest = source({"ensemble": {"surrogate": "rf"}})
    found = [forest.next(situation(make_curves(seen(hill)), seed)) for seed in range(4)]
    assert any(config is not None and abs(config["x"] - 0.62) < 0.2 for config in found)
    assert forest.name == "{'ensemble': {'surrogate': 'rf'}}"
    with pytest.raises(UnknownNameError):
        source({"ensemble": {"surrogate": "forst"}})
    with pytest.raises(SpecError, match="no option"):
        source({"ensemble": {"trees": 9}})
    with pytest.raises(SpecError, match="no option"):
        source({"model": {"surrogate": "gp"}})
