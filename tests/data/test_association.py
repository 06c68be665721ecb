from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.data.association import signal

RNG = np.random.default_rng(0)


def test_a_copy_of_the_target_explains_it() -> None:
    y = RNG.integers(0, 3, 500)
    assert signal(y.astype(float), y, classes=3) == pytest.approx(1.0)
    assert signal(np.array(["a", "b", "c"], dtype=object)[y], y, classes=3) == pytest.approx(1.0)


def test_noise_explains_nothing() -> None:
    for cells in (RNG.random(2000), RNG.choice(np.array(list("abcdef"), dtype=object), 2000)):
        assert signal(cells, RNG.integers(0, 2, 2000), classes=2) < 0.01
        assert signal(cells, RNG.random(2000), classes=None) < 0.01


def test_many_small_groups_are_no_knowledge() -> None:
    cells = np.array([f"u{i // 2}" for i in range(1000)], dtype=object)
    assert signal(cells, RNG.random(1000), classes=None) < 0.1


def test_a_relation_that_is_not_monotone_counts() -> None:
    x = RNG.uniform(-1, 1, 2000)
    assert signal(x, x**2, classes=None) > 0.9


def test_it_is_the_adjusted_correlation_ratio() -> None:
    groups, y = RNG.integers(0, 4, 300), RNG.random(300)
    y = y + groups * 0.3
    within = sum(((y[groups == g] - y[groups == g].mean()) ** 2).sum() for g in range(4))
    total = ((y - y.mean()) ** 2).sum()
    expected = 1 - (within / 296) / (total / 299)
    assert signal(np.array(list("abcd"), dtype=object)[groups], y, classes=None) == pytest.approx(expected)


def test_two_classes_are_like_numbers_0_and_1() -> None:
    groups = RNG.integers(0, 4, 300)
    y = (RNG.random(300) < 0.2 + 0.2 * groups).astype(np.int64)
    cells = np.array(list("abcd"), dtype=object)[groups]
    assert signal(cells, y, classes=2) == pytest.approx(signal(cells, y.astype(float), classes=None))


def test_missing_cells_are_a_group() -> None:
    y = RNG.integers(0, 2, 400)
    cells = np.where(y == 1, np.nan, RNG.random(400))
    assert signal(cells, y, classes=2) > 0.95


@pytest.mark.parametrize("cells", [np.full(50, 2.0), np.full(50, np.nan), np.arange(50).astype(str).astype(object)])
def test_one_group_or_only_single_rows_say_nothing(cells: Any) -> None:
    assert signal(cells, RNG.integers(0, 2, 50), classes=2) == 0.0


def test_a_constant_target_is_not_explained() -> None:
    assert signal(RNG.random(50), np.ones(50), classes=None) == 0.0
