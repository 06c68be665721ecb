from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.search import SearchSpace
from omniforge.search.conditional_measure import ConditionalMeasure
from omniforge.search.encoding import Encoding
from omniforge.search.leaf_anova import Decomposition, Forest, Leaves, decompose

INF = np.inf


def unit_square() -> tuple[SearchSpace, ConditionalMeasure]:
    space = SearchSpace.from_dict({name: {"type": "float", "range": [0.0, 1.0]} for name in ("x", "z")})
    return space, ConditionalMeasure(space, Encoding(space), columns=[0, 1])


def tree(*leaves: tuple[list[float], list[float], float]) -> Leaves:
    low, high, value = zip(*leaves, strict=True)
    return Leaves(np.array(low), np.array(high), np.array(value))


def analysed(leaves: Leaves) -> Decomposition:
    return next(decompose(unit_square()[1], [leaves], paired=[1, 2]))


STEP = tree(([-INF, -INF], [0.25, INF], 4.0), ([0.25, -INF], [INF, INF], 0.0))
CHECKED = tree(
    ([-INF, -INF], [0.5, 0.5], 1.0),
    ([-INF, 0.5], [0.5, INF], -1.0),
    ([0.5, -INF], [INF, 0.5], -1.0),
    ([0.5, 0.5], [INF, INF], 1.0),
)


def test_a_step_by_hand() -> None:
    found = analysed(STEP)
    assert found.mean == pytest.approx(1.0)
    assert found.variance == pytest.approx(0.25 * 9 + 0.75 * 1)
    assert [found.main(1), found.main(2)] == pytest.approx([1.0, 0.0])
    assert found.pairs() == {(1, 2): pytest.approx(0.0)}
    assert found.at(1, np.array([0.1, 0.25, 0.26])).tolist() == [4.0, 4.0, 0.0]


def test_a_chequerboard_is_all_interaction() -> None:
    found = analysed(CHECKED)
    assert [found.main(1), found.main(2)] == pytest.approx([0.0, 0.0])
    assert found.pairs() == {(1, 2): pytest.approx(1.0)}


def test_a_tree_of_one_leaf_has_no_variance() -> None:
    found = analysed(tree(([-INF, -INF], [INF, INF], 3.0)))
    assert (found.mean, found.variance, found.main(1)) == (3.0, 0.0, 0.0)
    assert found.pairs() == {(1, 2): 0.0}


def test_trees_are_the_same_one_by_one_and_in_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, measure = unit_square()
    trees = [STEP, CHECKED, STEP]
    together = [(t.mean, t.main(1), t.pairs()) for t in decompose(measure, trees, paired=[1, 2])]
    monkeypatch.setattr("omniforge.search.leaf_anova.MAX_BOXES", 1)
    assert [(t.mean, t.main(1), t.pairs()) for t in decompose(measure, trees, paired=[1, 2])] == together
    assert list(decompose(measure, [])) == []


class TestForest:
    def fitted(self, count: int = 80, **kwargs: Any) -> tuple[Any, Any, Forest]:
        rng = np.random.default_rng(0)
        X = rng.random((count, 3))
        y = 2 * X[:, 0] + np.where(X[:, 1] > 0.5, 1.0, 0.0)
        return X, y, Forest(X, y, seed=0, n_trees=8, **kwargs)

    def test_the_leaves_are_a_partition_with_the_trees_values(self) -> None:
        X, _, forest = self.fitted()
        points = np.vstack([np.random.default_rng(1).random((500, 3)).astype(np.float32).astype(float), X])
        points = points.astype(np.float32).astype(np.float64)
        for leaves, estimator in zip(forest.trees(), forest.model.estimators_, strict=True):
            inside = ((leaves.low[:, None] < points) & (points <= leaves.high[:, None])).all(axis=-1)
            assert (inside.sum(axis=0) == 1).all()
            np.testing.assert_allclose(leaves.value[inside.argmax(axis=0)], estimator.predict(points))

    def test_out_of_bag(self) -> None:
        *_, forest = self.fitted(300)
        assert forest.r2 is not None
        assert 0.9 < forest.r2 < 1.0
        rng = np.random.default_rng(0)
        noise = Forest(rng.random((100, 2)), rng.random(100), seed=0, n_trees=16)
        assert noise.r2 is not None
        assert noise.r2 < 0.2

    def test_what_it_relies_on(self) -> None:
        X, y, forest = self.fitted()
        assert forest.used == [0, 1, 2] or forest.used == [0, 1]
        assert forest.reliance.argmax() == 0
        assert forest.reliance.sum() == pytest.approx(1.0)
        flat = Forest(np.hstack([X, np.zeros((len(X), 1))]), y, seed=0, n_trees=4)
        assert 3 not in flat.used
